"""A table as every renderer sees it: text in place, marks, ranks and notes decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from string import ascii_lowercase
from typing import Literal

Direction = Literal["lower", "higher", "none"]

ARROWS: dict[Direction, str] = {"lower": "↓", "higher": "↑", "none": ""}
ABSENT = "–"


@dataclass(frozen=True)
class Cell:
    """What is printed: `rank` 1 is the best of its column, 2 the second, 0 neither.

    `delta` stands behind the text, outside what is bold: the difference to a published value.
    """

    text: str = ABSENT
    rank: int = 0
    marks: tuple[str, ...] = ()
    delta: str = ""


@dataclass(frozen=True)
class Column:
    """A column of numbers that may be compared; `group` says under which conditions.

    Of a transposed table: a method; it has no direction, and `reference` as a row has.
    """

    title: str
    group: str
    direction: Direction
    reference: bool = False

    @property
    def heading(self) -> str:
        """The title with its arrow."""
        return f"{self.title} {ARROWS[self.direction]}".strip()


@dataclass(frozen=True)
class Row:
    """A method; a `reference` is not ranked; `group` is the heading of the rows it belongs to.

    Of a transposed table: a metric, with its direction.
    """

    label: str
    reference: bool
    cells: tuple[Cell, ...]
    group: str = ""
    direction: Direction = "none"

    @property
    def heading(self) -> str:
        """The label with its arrow."""
        return f"{self.label} {ARROWS[self.direction]}".strip()


@dataclass(frozen=True)
class Note:
    """A footnote; without a mark it concerns the whole table."""

    text: str
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table: `name` identifies it in references and file names, `stub` heads its row labels.

    `lead` is the start of the caption that must stand above it; where space is short the rest may
    stand below. `across` would head row labels if rows were columns.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    stub: str = "Method"
    across: str = "Metric"
    lead: str = ""

    def transposed(self) -> Table:
        """Rows as columns and columns as rows; twice gives the table itself."""
        cells = tuple(zip(*(row.cells for row in self.rows), strict=True))
        return replace(
            self,
            columns=tuple(Column(r.label, r.group, r.direction, r.reference) for r in self.rows),
            rows=tuple(
                Row(column.title, column.reference, found, column.group, column.direction)
                for column, found in zip(self.columns, cells, strict=True)
            ),
            stub=self.across,
            across=self.stub,
        )

    def spans(self) -> list[tuple[str, int]]:
        """Heading and width of each column group; empty where one group needs no heading."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans if len(spans) > 1 else []

    def row_groups(self) -> Iterator[tuple[str, tuple[Row, ...]]]:
        """Heading and rows of each group of rows; an empty heading where rows are in no group."""
        for group, rows in groupby(self.rows, key=lambda row: row.group):
            yield group, tuple(rows)


@dataclass(frozen=True)
class Name:
    """Something that gets a label: its title, and facts that tell it from its namesakes."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()


def labels(names: Iterable[Name]) -> dict[Name, str]:
    """A label per name: its title, with those facts in which it differs from a namesake."""
    namesakes: defaultdict[str, list[Name]] = defaultdict(list)
    for name in dict.fromkeys(names):
        namesakes[name.title].append(name)
    found: dict[Name, str] = {}
    for title, group in namesakes.items():
        shared = set.intersection(*(set(name.facts) for name in group))
        for name in group:
            differing = [f"{k} {v}".strip() for k, v in name.facts if (k, v) not in shared]
            found[name] = f"{title} ({', '.join(differing)})" if differing else title
    return found


class Notes:
    """Footnotes in the order of their first use; the same text gets the same mark."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def mark(self, text: str) -> str:
        """The mark of a footnote: a letter, or two from the 27th on."""
        if text not in self._marks:
            first, second = divmod(len(self._marks), len(ascii_lowercase))
            lead = ascii_lowercase[first - 1] if first else ""
            self._marks[text] = lead + ascii_lowercase[second]
        return self._marks[text]

    def all(self) -> list[Note]:
        """The footnotes used so far."""
        return [Note(text, mark) for text, mark in self._marks.items()]


def ranks(printed: Sequence[float | None], direction: Direction) -> list[int]:
    """Rank 1 for every best, 2 for every second best printed value, 0 for the others.

    Args:
        printed: Values rounded as they are printed, None for what is not ranked.
        direction: Which way is better; `none` ranks nothing.
    """
    distinct = sorted({v for v in printed if v is not None}, reverse=direction == "higher")
    if direction == "none" or sum(v is not None for v in printed) < 2:
        return [0] * len(printed)
    order = {value: place for place, value in enumerate(distinct[:2], start=1)}
    return [0 if value is None else order.get(value, 0) for value in printed]


def overlapping(
    intervals: Sequence[tuple[float, float, float] | None], direction: Direction
) -> list[int]:
    """Rank 1 for the best and all whose intervals overlap its own, 2 likewise for the next best.

    Args:
        intervals: Value, low and high ends of each interval; None for what is not ranked.
        direction: Which way is better; `none` ranks nothing.
    """
    places = [0] * len(intervals)
    rivals = {at: interval for at, interval in enumerate(intervals) if interval is not None}
    if direction == "none" or len(rivals) < 2:
        return places
    best_of = max if direction == "higher" else min
    for rank in (1, 2):
        if rivals:
            _, low, high = best_of(rivals.values(), key=lambda interval: interval[0])
            tied = [at for at, (_, start, end) in rivals.items() if start <= high and low <= end]
            for at in tied:
                places[at] = rank
                del rivals[at]
    return places
