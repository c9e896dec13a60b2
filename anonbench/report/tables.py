"""Tables of results: rows are methods, columns are judges, grouped by what may be compared.

Runs that differ only in their seed get a row each, labelled by the seed; they are not averaged.
Published values stand in columns of their own and are never ranked together with measured ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anonbench import registry
from anonbench.cards import MetricSpec
from anonbench.errors import BadConfig, UserError
from anonbench.report import entries
from anonbench.report.caption import caption, remarks
from anonbench.report.entries import Entry
from anonbench.report.model import Cell, Column, Direction, Name, Notes, Row, Table, labels, ranks
from anonbench.results import published as papers
from anonbench.results.record import Result

REFERENCE = "identity"
WHITE_BOX = "†"
DECIMALS = 3


@dataclass(frozen=True)
class Layout:
    """What a table shows.

    Attributes:
        protocol: The protocol.
        metrics: Names of the metrics, in the order of their columns.
        values: Published values; their order also orders judges and methods.
        show_published: Whether the values are printed.
        digits: Decimals, or None for those of the paper, else three.
    """

    protocol: str
    metrics: tuple[str, ...]
    values: tuple[papers.PublishedValue, ...] = ()
    show_published: bool = True
    digits: int | None = None

    def decimals(self, metric: str) -> int:
        """Decimals in which a metric is printed."""
        if self.digits is not None:
            return self.digits
        return next((v.decimals for v in self.values if v.metric == metric), DECIMALS)


def plan_layout(
    results: Sequence[Result],
    protocol: str,
    *,
    metrics: Sequence[str] = (),
    paper_table: str = "",
    show_published: bool = True,
    digits: int | None = None,
) -> Layout:
    """Decide what a table of one protocol shows.

    Args:
        results: Results of this protocol.
        protocol: Its name.
        metrics: Names of metrics; by default those of the paper's table, else the headlines of
            the protocol of which some result has a value, else the first.
        paper_table: Id of a published table whose metrics and order are taken.
        show_published: Whether published values are printed.
        digits: Decimals; by default those of the paper, else three.

    Raises:
        BadConfig: A metric that no result has.
    """
    measured = list(dict.fromkeys(m.name for result in results for m in result.metrics))
    values = [
        value
        for value in papers.published()
        if value.protocol == protocol and paper_table in ("", value.table)
    ]
    printed = list(dict.fromkeys(value.metric for value in values))
    headlines = _headlines(results, protocol) or measured[:1] or printed[:1]
    chosen = list(metrics) or (printed if paper_table else headlines)
    unknown = [name for name in chosen if name not in measured] if metrics else []
    if unknown or not chosen:
        raise BadConfig(
            f"No result of {protocol} has the metric '{', '.join(unknown) or 'any'}'.",
            why=f"There are: {', '.join(measured) or 'none; all runs failed'}.",
        )
    kept = tuple(value for value in values if value.metric in chosen)
    return Layout(protocol, tuple(chosen), kept, show_published, digits)


def build(results: Sequence[Result], layout: Layout) -> Table:
    """The table of results of one protocol in a layout."""
    shown, superseded = newest(results)
    cells = _first_per_cell(e for r in shown for e in entries.measured(r, layout.metrics))
    if layout.show_published:
        cells += entries.published(layout.values, list(cells))
    shown.sort(key=lambda result: (result.method.name, result.setup.seed))
    titles = metric_titles(layout)
    row_labels = labels(entry.row for entry in cells)
    columns = _columns(cells, layout, titles)
    notes = Notes()
    rows = _rows(cells, layout, columns, row_labels, notes)
    return Table(
        name=layout.protocol,
        caption=caption(
            shown, layout.metrics, titles, has_reference=any(r.reference for r in rows)
        ),
        columns=tuple(columns.values()),
        rows=tuple(rows),
        notes=(*notes.all(), *remarks(shown, superseded, rows, layout)),
    )


def newest(results: Iterable[Result]) -> tuple[list[Result], list[Result]]:
    """Results to show, the newest complete first, and those of which they repeat every cell."""
    taken: set[tuple[Name, ...]] = set()
    shown: list[Result] = []
    superseded: list[Result] = []
    for result in sorted(results, key=lambda r: (r.status == "complete", r.created), reverse=True):
        slots = set(entries.slots(result))
        (superseded if slots <= taken else shown).append(result)
        taken |= slots
    return shown, superseded


def metric_titles(layout: Layout) -> dict[str, str]:
    """Title per metric, from the protocol's card where it is installed."""
    known = {spec.name: spec.title for spec in _specs(layout.protocol)}
    return {name: known.get(name, name) for name in layout.metrics}


def _headlines(results: Sequence[Result], protocol: str) -> list[str]:
    """The headlines of a protocol of which some result has a value."""
    valued = {m.name for result in results for m in result.metrics if m.value is not None}
    return [spec.name for spec in _specs(protocol) if spec.headline and spec.name in valued]


def _specs(protocol: str) -> tuple[MetricSpec, ...]:
    try:
        return registry.protocols.card(protocol).metrics
    except UserError:
        return ()


def _first_per_cell(measured: Iterable[Entry]) -> list[Entry]:
    """The entries without those of older results for the same cell."""
    first: dict[tuple[Name, _Key], Entry] = {}
    for entry in measured:
        first.setdefault((entry.row, _key(entry)), entry)
    return list(first.values())


# --------------------------------------------------------------------------------------- columns
_Key = tuple[Name, Name, str]


def _key(entry: Entry) -> _Key:
    return (entry.group, entry.judge, entry.metric)


def _columns(
    cells: Sequence[Entry], layout: Layout, titles: Mapping[str, str]
) -> dict[_Key, Column]:
    groups = labels(entry.group for entry in cells)
    judges = labels(entry.judge for entry in cells)
    several = len(layout.metrics) > 1
    return {
        _key(entry): Column(
            title=_column_title(entry, judges[entry.judge], titles[entry.metric], several),
            group=groups[entry.group],
            direction=_direction(cells, _key(entry)),
        )
        for entry in sorted(cells, key=lambda entry: _column_order(entry, layout, groups))
    }


def _column_title(entry: Entry, judge: str, metric: str, several: bool) -> str:
    if entry.published or not several:
        return judge or metric
    return f"{metric}, {judge}" if judge else metric


def _direction(cells: Sequence[Entry], key: _Key) -> Direction:
    """The direction of a column: a failed run does not know it."""
    known = [e.direction for e in cells if _key(e) == key and e.direction != "none"]
    return known[0] if known else "none"


def _column_order(entry: Entry, layout: Layout, groups: Mapping[Name, str]) -> tuple[object, ...]:
    judges = list(dict.fromkeys(value.judge for value in layout.values))
    at = judges.index(entry.judge_name) if entry.judge_name in judges else len(judges)
    return (entry.published, groups[entry.group], layout.metrics.index(entry.metric), at)


# ------------------------------------------------------------------------------------------ rows
def _rows(
    cells: Sequence[Entry],
    layout: Layout,
    columns: Mapping[_Key, Column],
    row_labels: Mapping[Name, str],
    notes: Notes,
) -> list[Row]:
    methods = list(dict.fromkeys(value.method for value in layout.values))
    method_of = {entry.row: entry.method for entry in cells}

    def order(row: Name) -> tuple[bool, int, str]:
        method = method_of[row]
        at = methods.index(method) if method in methods else -1
        return (method != REFERENCE, at, row_labels[row])

    placed = {(entry.row, _key(entry)): entry for entry in cells}
    ranked = {key: _ranks(cells, layout, key, column) for key, column in columns.items()}
    return [
        Row(
            label=row_labels[row],
            reference=method_of[row] == REFERENCE,
            cells=tuple(
                _cell(placed.get((row, key)), layout, ranked[key].get(row, 0), notes)
                for key in columns
            ),
        )
        for row in sorted(row_labels, key=order)
    ]


def _ranks(cells: Sequence[Entry], layout: Layout, key: _Key, column: Column) -> dict[Name, int]:
    rivals = [e for e in cells if _key(e) == key and e.ranked and e.method != REFERENCE]
    printed = [
        None if e.value is None else round(e.value, layout.decimals(e.metric)) for e in rivals
    ]
    places = ranks(printed, column.direction)
    return {entry.row: place for entry, place in zip(rivals, places, strict=True)}


def _cell(entry: Entry | None, layout: Layout, rank: int, notes: Notes) -> Cell:
    if entry is None:
        return Cell()
    text = entry.instead
    if entry.value is not None:
        decimals = layout.decimals(entry.metric)
        text = f"{entry.value:.{decimals}f}"
        text += f" ± {entry.std:.{decimals}f}" if entry.std is not None else ""
    marks = [notes.mark(note) for note in entry.notes]
    return Cell(text, rank, (*([WHITE_BOX] if entry.white_box else []), *marks))
