"""The leaderboard: tables as `anonbench table` has them, one for each set of conditions.

What may share a column is decided by `entries.conditions` and `tables.compose` alone. Results
under different conditions stand in different boards, so none can be sorted among others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from anonbench import registry
from anonbench.report import entries
from anonbench.report.caption import by_protocol
from anonbench.report.cells import Style
from anonbench.report.entries import Entry
from anonbench.report.model import ABSENT, Cell, Column, Name, Note, Notes
from anonbench.report.page.flags import Flag, of_number, word_of
from anonbench.report.page.view import Board, BoardNote, Facts, Heading, Line, Mark, Number
from anonbench.report.tables import Composed, Layout, compose
from anonbench.results import published as papers
from anonbench.results.record import Result

SHORT = 24
"""Characters of a reason that is printed in its cell; longer ones stand below the table."""

_STYLE = Style(spread="ci")


def build(results: Sequence[Result]) -> tuple[list[Board], set[str]]:
    """All boards, the protocols with most methods first, and the ids of results that they show."""
    boards: list[Board] = []
    shown: set[str] = set()
    for group in _comparable(results):
        composed = compose(group, _layout(group), _STYLE)
        shown |= {result.id for result in composed.shown}
        if composed.table.rows:  # a failed run of a protocol that is not installed has no metric
            boards.append(_Writer(composed, f"t{len(boards) + 1}").board())
    return boards, shown


def _comparable(results: Iterable[Result]) -> Iterator[list[Result]]:
    """Results that were measured under the same conditions, larger groups of a protocol first."""
    protocols = by_protocol(results)
    for name in sorted(protocols, key=lambda name: (-_methods(protocols[name]), name)):
        groups: defaultdict[Name, list[Result]] = defaultdict(list)
        for result in protocols[name]:
            groups[entries.conditions(result)].append(result)
        yield from sorted(groups.values(), key=lambda g: (-len(g), g[0].dataset.title, str(g[0])))


def _methods(results: Iterable[Result]) -> int:
    return len({result.method.name for result in results})


def _layout(group: Sequence[Result]) -> Layout:
    """Every metric of a protocol, its headlines first."""
    protocol = group[0].protocol.name
    specs = entries.specs(protocol)
    measured = [metric.name for result in group for metric in result.metrics]
    known = sorted(specs, key=lambda spec: not spec.headline)
    wanted = [spec.name for spec in known if not measured or spec.name in measured]
    metrics = tuple(dict.fromkeys((*wanted, *measured)))
    values = (value for value in papers.published() if value.protocol == protocol)
    return Layout(protocol, metrics, tuple(v for v in values if v.metric in metrics))


class _Writer:
    """One board from a composed table; notes get their marks in the order of their first use."""

    def __init__(self, composed: Composed, anchor: str) -> None:
        self._table, self._entries = composed.table, composed.entries
        self._results = {result.id: result for result in composed.shown}
        self._anchor = anchor
        self._letters = Notes()
        self._flags: dict[Flag, str] = {}
        self._shared = _shared_warnings(composed.shown)

    def board(self) -> Board:
        """The board."""
        first = next(iter(self._results.values()))
        lines = tuple(self._lines())
        pictures = bool(first.dataset.files)
        return Board(
            anchor=self._anchor,
            title=_title(first),
            protocol=first.protocol.name,
            dataset=first.dataset.name,
            dataset_title=entries.data(first).title,
            suite=first.suite,
            channel=first.setup.channel if pictures else "",
            facts=_facts(first),
            alerts=self._shared,
            caption=self._table.caption,
            headings=tuple(self._headings(first.protocol.name)),
            spans=tuple(self._table.spans()),
            lines=lines,
            notes=tuple(self._notes()),
        )

    # ------------------------------------------------------------------------------------ columns
    def _headings(self, protocol: str) -> Iterator[Heading]:
        headlines = _headlines(protocol, self._results.values())
        for at, column in enumerate(self._table.columns):
            entry = next(e for row in self._entries if (e := row[at]) is not None)
            yield Heading(
                title=_column_title(column, entry, protocol),
                group=column.group,
                direction=column.direction,
                metric=entry.metric,
                judge=entry.judge_name,
                headline=entry.metric in headlines,
                published=entry.published,
            )

    # --------------------------------------------------------------------------------------- rows
    def _lines(self) -> Iterator[Line]:
        for row, found in zip(self._table.rows, self._entries, strict=True):
            present = [entry for entry in found if entry is not None]
            ids = dict.fromkeys(entry.result for entry in present if entry.result)
            runs = [self._results[result_id] for result_id in ids]
            yield Line(
                key=_key(present[0].row),
                label=row.label,
                method=present[0].method,
                reference=row.reference,
                runs=tuple((run_anchor(run), run.id[:8]) for run in runs),
                marks=tuple(self._row_marks(runs)),
                cells=tuple(map(self._number, row.cells, found)),
            )

    def _row_marks(self, runs: Iterable[Result]) -> Iterator[Mark]:
        for run in runs:
            for text in run.warnings:
                if text not in self._shared:
                    yield self._flag(Flag("warning", text))
            for remark in run.remarks:
                yield self._letter(f"The method says of its images: {remark}.")

    def _number(self, cell: Cell, entry: Entry | None) -> Number:
        if entry is None:
            return Number(ABSENT, absent=True)
        result = self._results.get(entry.result)
        text, _, spread = cell.text.partition(" ")
        plain = [note for note in entry.notes if not word_of(note)]
        reason = plain[0] if entry.value is None and plain and len(plain[0]) <= SHORT else ""
        marks = [self._flag(flag) for flag in of_number(entry, result)]
        marks += [self._letter(note) for note in plain if note != reason]
        return Number(text, spread, entry.value, cell.rank, reason, tuple(marks))

    # -------------------------------------------------------------------------------------- notes
    def _flag(self, flag: Flag) -> Mark:
        anchor = self._flags.setdefault(flag, f"{self._anchor}-w{len(self._flags) + 1}")
        return Mark(flag.word, anchor, warns=True)

    def _letter(self, text: str) -> Mark:
        letter = self._letters.mark(text)
        return Mark(letter, f"{self._anchor}-{letter}", warns=False)

    def _notes(self) -> Iterator[BoardNote]:
        for flag, anchor in self._flags.items():
            yield BoardNote(anchor, flag.word, flag.text)
        for note in self._letters.all():
            yield BoardNote(f"{self._anchor}-{note.mark}", note.mark, note.text)
        for at, note in enumerate(self._unmarked()):
            yield BoardNote(f"{self._anchor}-n{at}", "", note.text)

    def _unmarked(self) -> Iterator[Note]:
        """Notes of the whole table, without those that a row or the board's head has already."""
        said = [text for result in self._results.values() for text in result.warnings]
        said += [f"{remark}." for result in self._results.values() for remark in result.remarks]
        for note in self._table.notes:
            if not note.mark and not any(note.text.endswith(text) for text in said):
                yield note


# --------------------------------------------------------------------------------------- helpers
def run_anchor(result: Result) -> str:
    """The place of a result in the list of all."""
    return f"run-{result.id[:12]}"


def _key(row: Name) -> str:
    return sha256(repr(row).encode()).hexdigest()[:10]


def _shared_warnings(results: Sequence[Result]) -> tuple[str, ...]:
    """Warnings that hold for all results of a board."""
    return tuple(w for w in results[0].warnings if all(w in other.warnings for other in results))


def _headlines(protocol: str, results: Iterable[Result]) -> set[str]:
    """Metrics that are shown unasked: as `tables.plan_layout` has them, where there are any."""
    named = {spec.name for spec in entries.specs(protocol) if spec.headline}
    valued = {m.name for r in results for m in r.metrics if m.value is not None}
    every = [metric.name for result in results for metric in result.metrics]
    return named & valued or named or set(every[:1])


def _title(result: Result) -> str:
    card = registry.protocols.installed(result.protocol.name)
    return card.title if card else result.protocol.name


def _column_title(column: Column, entry: Entry, protocol: str) -> str:
    """The title of a column, always with its metric: columns can be hidden one by one."""
    titles = {spec.name: spec.title for spec in entries.specs(protocol)}
    metric = titles.get(entry.metric, entry.metric)
    return column.title if metric.lower() in column.title.lower() else f"{metric}, {column.title}"


def _facts(result: Result) -> Facts:
    """The conditions of a board, told one by one; hashes behind the detector are in its runs."""
    named = (*entries.protocol(result), *entries.data(result).facts, *entries.circumstances(result))
    facts = dict(named)
    if "detector" in facts:
        facts["detector"] = f"{result.setup.detector.name} v{result.setup.detector.version}"
    facts.pop("protocol")
    return tuple((key, value or "default") for key, value in facts.items())
