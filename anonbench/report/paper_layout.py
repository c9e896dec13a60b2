"""A table of a paper in its own columns: the numbers it printed, below them those measured here.

The data file of a published table (`results/published/ID.toml`) is its layout: columns with the
protocol, metric and judge of each, rows in order, and what the rows name. Any table with such a
file can be built.

Measured numbers stand in groups of rows. A group holds what was measured on the same data, by the
same judge, through the same channel and under equal other conditions, and its heading names them:
no measured number stands under data or a judge of the paper that are not its own. A number that
needs no judge stands in the group of every judge. Where the paper's columns are its judges, other
judges have columns of their own. So have metrics that the paper lacks and its data file asks for.

What a paper prints with its methods as columns is built with them as rows and then transposed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from anonbench import registry
from anonbench.report import entries
from anonbench.report.caption import dataset_title, footnotes, paper_caption
from anonbench.report.cells import PLAIN, REFERENCE, Style, cell, places
from anonbench.report.delta import Comparisons
from anonbench.report.entries import Entry, Facts
from anonbench.report.model import Cell, Column, Name, Note, Notes, Row, Table, labels
from anonbench.report.tables import DECIMALS, newest
from anonbench.results.published import PublishedTable
from anonbench.results.record import Result

Slot = tuple[str, str, str]  # protocol, metric, judge; no judge: by whichever it was measured

USUAL, EXTRA = "as in the paper", "not in the paper"
REPEATED = "Numbers that need no judge are the same in the groups of all judges."


@dataclass(frozen=True)
class _Number:
    """A measured number and all that decides beside which others it may stand.

    Attributes:
        entry: The number; its row names the method, or the data where the paper's rows are data.
        slot: Its column.
        key: Registered name of what its row names.
        dataset: Registered name of its data.
        about: The data, or the method where the paper's rows are data; heads its group.
        circumstances: What all numbers of a group share.
        facets: What some numbers of a group depend on and then share: its protocol, its judge.
    """

    entry: Entry
    slot: Slot
    key: str
    dataset: str
    about: Name
    circumstances: Facts
    facets: tuple[tuple[str, Name], ...]


_Set = tuple[_Number, ...]


@dataclass
class _Group:
    """Rows under a heading, the entries of each by their columns."""

    heading: str
    rows: dict[Name, dict[Slot, Entry]] = field(default_factory=dict)

    def add(self, slot: Slot, entry: Entry) -> None:
        """Put an entry in its cell unless that is taken."""
        self.rows.setdefault(entry.row, {}).setdefault(slot, entry)

    def nothing(self) -> str:
        """Why no cell of the group has a number; empty where one has, or where a run failed."""
        found = [entry for cells in self.rows.values() for entry in cells.values()]
        if any(entry.instead != "n/a" for entry in found):
            return ""
        return "; ".join(dict.fromkeys(note for entry in found for note in entry.notes))

    def column(self, slot: Slot) -> list[Entry]:
        """The entries of one column."""
        return [cells[slot] for cells in self.rows.values() if slot in cells]


def build(
    results: Iterable[Result],
    paper: PublishedTable,
    *,
    show_published: bool = True,
    digits: int | None = None,
    style: Style = PLAIN,
) -> Table:
    """Results in the layout of a published table.

    Args:
        results: Results of any protocols; those for which the table has no column are left out.
        paper: The published table.
        show_published: Whether the paper's numbers are shown.
        digits: Decimals; by default as many as the paper has.
        style: How numbers are printed and ranked.
    """
    newer, superseded = newest(r for r in results if r.protocol.name in _protocols(paper))
    compared = Comparisons(paper.values() if style.delta else ())
    found = [(result, list(_numbers(result, paper, compared))) for result in newer]
    shown = sorted((r for r, numbers in found if numbers), key=lambda r: r.method.name)
    numbers = [number for _, of_result in found for number in of_result]
    sets = _sets(numbers)
    measured = _measured(paper, sets)
    groups = [
        *(_published(paper) if show_published else ()),
        *(group for group in measured if not group.nothing()),
    ]
    columns = _columns(paper, numbers)
    notes = Notes()
    rows = list(_rows(groups, columns, paper, digits, notes, style))
    repeats = sum(map(len, sets)) > len(numbers)
    about = [
        *(f"{group.heading}: {group.nothing()}." for group in measured if group.nothing()),
        *_unmeasured(paper, numbers),
        *([REPEATED] if repeats else []),
    ]
    values = tuple(paper.values()) if show_published else ()
    lead, conditions = paper_caption(paper, shown, style)
    table = Table(
        name=paper.id,
        caption=f"{lead} {conditions}".strip(),
        lead=lead,
        columns=tuple(columns.values()),
        rows=tuple(rows),
        notes=(
            *notes.all(),
            *map(Note, about),
            *footnotes(shown, superseded, rows, values),
        ),
        stub=paper.stub,
    )
    return table.transposed() if paper.transposed else table


# --------------------------------------------------------------------------------------- columns
def _slots(paper: PublishedTable) -> list[Slot]:
    return [(c.protocol or paper.protocol, c.metric, c.judge) for c in paper.columns]


def _protocols(paper: PublishedTable) -> set[str]:
    return {protocol for protocol, _, _ in _slots(paper)}


def _slot(paper: PublishedTable, protocol: str, entry: Entry) -> Slot:
    """The paper's column of a number, or one of its own where the paper's are other judges'."""
    anyone = (protocol, entry.metric, "")
    return anyone if anyone in _slots(paper) else (protocol, entry.metric, entry.judge_name)


def _columns(paper: PublishedTable, numbers: Sequence[_Number]) -> dict[Slot, Column]:
    """The paper's columns, then those that only measured numbers need."""
    slots = _slots(paper)
    own = {n.slot: n.entry for n in numbers if n.slot not in slots}
    usual = USUAL if own else ""
    columns = {
        slot: Column(f"{c.title} ({c.unit})" if c.unit else c.title, c.group or usual, c.direction)
        for slot, c in zip(slots, paper.columns, strict=True)
    }
    order = {metric: place for place, metric in enumerate(paper.beside)}
    for slot in sorted(own, key=lambda slot: (order.get(slot[1], -1), slot)):
        columns[slot] = Column(_own_title(slot, own[slot]), EXTRA, own[slot].direction)
    return columns


def _own_title(slot: Slot, entry: Entry) -> str:
    protocol, metric, _ = slot
    spec = next((spec for spec in entries.specs(protocol) if spec.name == metric), None)
    title = spec.title if spec else metric
    if entry.judge.title:
        return f"{title}, {entry.judge.title}"
    return f"{title} ({spec.unit})" if spec and spec.unit else title


def _decimals(paper: PublishedTable, slot: Slot) -> int:
    """As many as the paper has for this metric."""
    printed = (v.decimals for v in paper.values() if (v.protocol, v.metric) == slot[:2])
    return next(printed, DECIMALS)


# -------------------------------------------------------------------------------------- measured
def _numbers(result: Result, paper: PublishedTable, compared: Comparisons) -> Iterator[_Number]:
    """The numbers of a result for which the table has a column."""
    protocol = result.protocol.name
    metrics = [metric for name, metric, _ in _slots(paper) if name == protocol]
    metrics += paper.beside if protocol == paper.protocol else ()
    titles = {row.method: row.title for row in paper.rows}
    for entry in entries.measured(result, metrics):
        method = replace(entry.row, title=titles.get(entry.method, entry.row.title))
        pair = (method, _data(result))
        row, about = pair if paper.rows_are == "methods" else pair[::-1]
        slot = _slot(paper, protocol, entry)
        yield _Number(
            entry=compared.compare(replace(entry, row=row), result),
            slot=slot,
            key=entry.method if paper.rows_are == "methods" else result.dataset.name,
            dataset=result.dataset.name,
            about=about,
            circumstances=entries.circumstances(result),
            facets=tuple(_facets(result, entry, slot)),
        )


def _data(result: Result) -> Name:
    """The data under a title that always says when only a part of them was used."""
    data, limit = entries.data(result), result.setup.limit
    return data if limit is None else replace(data, title=f"{data.title} (limit {limit})")


def _facets(result: Result, entry: Entry, slot: Slot) -> Iterator[tuple[str, Name]]:
    protocol = result.protocol.name
    yield f"protocol {protocol}", Name(protocol, entries.protocol(result))
    if entry.judge.title:
        # A judge that heads a column needs to be told only from other versions of itself.
        yield f"judge {slot[2]}".strip(), entry.judge


def _measured(paper: PublishedTable, sets: Sequence[_Set]) -> list[_Group]:
    """A group of rows per set, those of the paper's data or methods first."""
    numbers = [number for members in sets for number in members]
    row_labels = labels(number.entry.row for number in numbers)
    headings = _Headings(paper, numbers)

    def row_order(number: _Number) -> tuple[int, bool, str]:
        place = _place(paper.rows_are, paper, number.key)
        return (place, number.key != REFERENCE, row_labels[number.entry.row])

    def group_order(members: _Set) -> tuple[int, str]:
        first = members[0]
        if paper.rows_are == "methods":
            return (_place("datasets", paper, first.dataset), headings.of(members))
        return (_place("methods", paper, first.entry.method), headings.of(members))

    groups = []
    for members in sorted(sets, key=group_order):
        group = _Group(headings.of(members))
        for number in sorted(members, key=row_order):
            label = Name(row_labels[number.entry.row])
            group.add(number.slot, replace(number.entry, row=label))
        groups.append(group)
    return groups


def _place(of: str, paper: PublishedTable, name: str) -> int:
    """The place of a method or a dataset in a paper's table; after all where it is not there."""
    names = [r.method if of == "methods" else r.dataset or paper.dataset for r in paper.rows]
    return names.index(name) if name in names else len(names)


def _sets(numbers: Sequence[_Number]) -> list[_Set]:
    """What may stand together: the same data (or method), circumstances and facets."""
    blocks: dict[tuple[Name, Facts], list[_Number]] = {}
    for number in numbers:
        blocks.setdefault((number.about, number.circumstances), []).append(number)
    return [members for block in blocks.values() for members in _consistent(block)]


def _consistent(numbers: Sequence[_Number]) -> list[_Set]:
    """The largest sets of numbers in which no two differ in a facet that both have."""
    values: dict[str, dict[Name, None]] = {}
    for number in numbers:
        for name, value in number.facets:
            values.setdefault(name, {})[value] = None
    sets: dict[_Set, None] = {}
    for choice in product(*values.values()):
        chosen = set(zip(values, choice, strict=True))
        sets[tuple(number for number in numbers if chosen.issuperset(number.facets))] = None
    return [found for found in sets if not any(set(found) < set(other) for other in sets)]


class _Headings:
    """Headings that name data, judge, channel, and what else is not common to all numbers."""

    def __init__(self, paper: PublishedTable, numbers: Sequence[_Number]) -> None:
        self._lead = "Measured on {}" if paper.rows_are == "methods" else "{}, measured"
        self._about = labels(number.about for number in numbers)
        self._judges = labels(v for n in numbers for k, v in n.facets if k == "judge")
        self._common = _common([number.circumstances for number in numbers])
        self._protocols = {
            name: _common([v.facts for n in numbers for k, v in n.facets if k == name])
            for number in numbers
            for name, _ in number.facets
        }

    def of(self, members: Sequence[_Number]) -> str:
        """The heading of one group."""
        first = members[0]
        facets = dict(facet for number in members for facet in number.facets)
        judge = facets.pop("judge", None)
        parts = [
            self._lead.format(self._about[first.about]),
            *([f"judge {self._judges[judge]}"] if judge else []),
            *(f"{k} {v}" for k, v in first.circumstances if k == "channel"),
            *(f"{k} {v}" for k, v in first.circumstances if k != "channel"
              and (k, v) not in self._common),
            *(f"{k} {v}" for name, value in facets.items() for k, v in value.facts
              if (k, v) not in self._protocols[name]),
        ]  # fmt: skip
        return ", ".join(parts)


def _common(facts: Sequence[Facts]) -> set[tuple[str, str]]:
    return set.intersection(*map(set, facts)) if facts else set()


# ------------------------------------------------------------------------------------- published
def _published(paper: PublishedTable) -> list[_Group]:
    """The paper's numbers: a group per dataset, or per method where its rows are data."""
    groups: dict[str, _Group] = {}
    values = tuple(paper.values())
    for value, entry in zip(values, entries.published(values, ()), strict=True):
        source, data = f"{paper.paper}, Table {paper.number}", dataset_title(value.dataset)
        if paper.rows_are == "methods":
            label, heading = entry.row.title, f"Published: {source}" + (data and f", on {data}")
        else:
            label, heading = data, f"{entry.row.title}, published: {source}"
        group = groups.setdefault(heading, _Group(heading))
        slot = (value.protocol, value.metric, value.judge)
        group.add(slot, replace(entry, row=Name(label)))
    return list(groups.values())


def _unmeasured(paper: PublishedTable, numbers: Sequence[_Number]) -> Iterator[str]:
    """Which rows of the paper nobody measured here on the paper's data, and why."""
    installed = registry.methods.names()
    missing: dict[str, dict[str, list[str]]] = {}
    for row in paper.rows:
        dataset = row.dataset or paper.dataset
        on = {n.dataset for n in numbers if n.entry.method == row.method}
        if dataset in on or (on and not dataset):
            continue
        reason = "measured on other data" if on else "no result here"
        if row.method not in installed:
            reason = "no such method is installed"
        of_data = missing.setdefault(dataset_title(dataset), {})
        if row.title not in (titles := of_data.setdefault(reason, [])):
            titles.append(row.title)
    for data, reasons in missing.items():
        listed = "; ".join(f"{', '.join(titles)} ({why})" for why, titles in reasons.items())
        yield f"Not measured{data and f' on {data}'}: {listed}."


# ------------------------------------------------------------------------------------------ rows
def _rows(
    groups: Sequence[_Group],
    columns: Mapping[Slot, Column],
    paper: PublishedTable,
    digits: int | None,
    notes: Notes,
    style: Style,
) -> Iterator[Row]:
    decimals = {slot: _decimals(paper, slot) if digits is None else digits for slot in columns}
    for group in groups:
        ranked = {
            slot: places(group.column(slot), decimals[slot], column.direction, style.ties)
            for slot, column in columns.items()
            if paper.rows_are == "methods"
        }
        for row, found in group.rows.items():
            cells = (
                cell(found[slot], decimals[slot], ranked.get(slot, {}).get(row, 0), notes, style)
                if slot in found
                else _empty(slot, columns[slot], found, notes)
                for slot in columns
            )
            is_reference = any(entry.method == REFERENCE for entry in found.values())
            yield Row(row.title, is_reference, tuple(cells), group.heading)


def _empty(slot: Slot, column: Column, found: Mapping[Slot, Entry], notes: Notes) -> Cell:
    """Nothing in a column of ours; the reason in one of the paper's."""
    if column.group == EXTRA or any(entry.published for entry in found.values()):
        return Cell()
    protocol, _, judge = slot
    by = " by this judge" if judge else ""
    note = f"not measured: no result of {protocol}{by} under these conditions"
    return Cell("n/a", 0, (notes.mark(note),))
