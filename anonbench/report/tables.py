"""Tables of results: rows are methods, columns are judges, grouped by what may be compared.

Runs that differ only in their seed get a row each, labelled by the seed; they are not averaged.
Published values stand in columns of their own and are never ranked together with measured ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anonbench.errors import BadConfig
from anonbench.report import entries
from anonbench.report.caption import caption, footnotes
from anonbench.report.cells import PLAIN, REFERENCE, Style, cell, places
from anonbench.report.delta import Comparisons
from anonbench.report.entries import Entry
from anonbench.report.model import Column, Direction, Name, Notes, Row, Table, labels
from anonbench.results import published as papers
from anonbench.results.record import Result

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
    show_published: bool = True,
    digits: int | None = None,
) -> Layout:
    """Decide what a table of one protocol shows.

    Args:
        results: Results of this protocol.
        protocol: Its name.
        metrics: Names of metrics; by default the headlines of the protocol of which some result
            has a value, else the first.
        show_published: Whether published values are printed.
        digits: Decimals; by default those of the paper, else three.

    Raises:
        BadConfig: A metric that no result has.
    """
    measured = list(dict.fromkeys(m.name for result in results for m in result.metrics))
    values = [value for value in papers.published() if value.protocol == protocol]
    printed = [value.metric for value in values]
    chosen = list(metrics) or _headlines(results, protocol) or measured[:1] or printed[:1]
    unknown = [name for name in chosen if name not in measured] if metrics else []
    if unknown or not chosen:
        raise BadConfig(
            f"No result of {protocol} has the metric '{', '.join(unknown) or 'any'}'.",
            why=f"There are: {', '.join(measured) or 'none; all runs failed'}.",
        )
    kept = tuple(value for value in values if value.metric in chosen)
    return Layout(protocol, tuple(chosen), kept, show_published, digits)


@dataclass(frozen=True)
class Composed:
    """A table with what stands behind it.

    Attributes:
        table: As it is printed.
        entries: Per row, per column, the number; None where there is none.
        shown: The results of which numbers are shown.
    """

    table: Table
    entries: tuple[tuple[Entry | None, ...], ...]
    shown: tuple[Result, ...]


def build(results: Sequence[Result], layout: Layout, style: Style = PLAIN) -> Table:
    """The table of results of one protocol in a layout."""
    return compose(results, layout, style).table


def compose(results: Sequence[Result], layout: Layout, style: Style = PLAIN) -> Composed:
    """The table of `build`, and the number behind each of its cells."""
    shown, superseded = newest(results)
    comparisons = Comparisons(layout.values if style.delta else ())
    cells = _first_per_cell(
        comparisons.compare(entry, result)
        for result in shown
        for entry in entries.measured(result, layout.metrics)
    )
    if layout.show_published:
        cells += entries.published(layout.values, list(cells))
    shown.sort(key=lambda result: (result.method.name, result.setup.seed))
    titles = metric_titles(layout)
    row_labels = labels(entry.row for entry in cells)
    columns = _columns(cells, layout, titles)
    notes = Notes()
    rows = _rows(cells, layout, columns, row_labels, notes, style)
    lead, conditions = caption(
        shown, layout.metrics, titles, style, has_reference=any(r.reference for r in rows)
    )
    table = Table(
        name=layout.protocol,
        caption=f"{lead} {conditions}".strip(),
        lead=lead,
        columns=tuple(columns.values()),
        rows=tuple(rows),
        notes=(
            *notes.all(),
            *footnotes(shown, superseded, rows, layout.values if layout.show_published else ()),
        ),
    )
    placed = {(row_labels[entry.row], _key(entry)): entry for entry in cells}
    behind = tuple(tuple(placed.get((row.label, key)) for key in columns) for row in rows)
    return Composed(table, behind, tuple(shown))


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
    known = {spec.name: spec.title for spec in entries.specs(layout.protocol)}
    return {name: known.get(name, name) for name in layout.metrics}


def _headlines(results: Sequence[Result], protocol: str) -> list[str]:
    """The headlines of a protocol of which some result has a value."""
    valued = {m.name for result in results for m in result.metrics if m.value is not None}
    return [s.name for s in entries.specs(protocol) if s.headline and s.name in valued]


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
    style: Style,
) -> list[Row]:
    methods = list(dict.fromkeys(value.method for value in layout.values))
    method_of = {entry.row: entry.method for entry in cells}

    def order(row: Name) -> tuple[bool, int, str]:
        method = method_of[row]
        at = methods.index(method) if method in methods else -1
        return (method != REFERENCE, at, row_labels[row])

    placed = {(entry.row, _key(entry)): entry for entry in cells}
    ranked = {
        key: places(
            [entry for entry in cells if _key(entry) == key],
            layout.decimals(key[-1]),
            column.direction,
            style.ties,
        )
        for key, column in columns.items()
    }
    return [
        Row(
            label=row_labels[row],
            reference=method_of[row] == REFERENCE,
            cells=tuple(
                cell(
                    placed.get((row, key)),
                    layout.decimals(key[-1]),
                    ranked[key].get(row, 0),
                    notes,
                    style,
                )
                for key in columns
            ),
        )
        for row in sorted(row_labels, key=order)
    ]
