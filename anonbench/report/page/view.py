"""What is on the page, in the order of the page: plain text, which the templates escape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from anonbench.report.model import Direction

Facts = tuple[tuple[str, str], ...]


# ------------------------------------------------------------------------------------ leaderboard
@dataclass(frozen=True)
class Mark:
    """A reference to a note of the same board: a letter, or for a warning a word or two."""

    text: str
    note: str
    warns: bool


@dataclass(frozen=True)
class Number:
    """A cell: `value` sorts, `text` is printed, `spread` stands below it, then `reason` for n/a."""

    text: str
    spread: str = ""
    value: float | None = None
    rank: int = 0
    reason: str = ""
    marks: tuple[Mark, ...] = ()
    absent: bool = False


@dataclass(frozen=True)
class Heading:
    """A column: its metric, who measured it, and whether it is shown unasked."""

    title: str
    group: str
    direction: Direction
    metric: str
    judge: str
    headline: bool
    published: bool


@dataclass(frozen=True)
class Line:
    """A row: a method with its settings; `key` is the same in all boards.

    Attributes:
        runs: Anchor and short id of each result that it comes from; none where it is published.
    """

    key: str
    label: str
    method: str
    reference: bool
    runs: Facts
    marks: tuple[Mark, ...]
    cells: tuple[Number, ...]


@dataclass(frozen=True)
class BoardNote:
    """A note below a board, with the mark that refers to it, if there is one."""

    anchor: str
    mark: str
    text: str


@dataclass(frozen=True)
class Board:
    """Numbers that may be compared: one protocol on the same data under the same conditions."""

    anchor: str
    title: str
    protocol: str
    dataset: str
    dataset_title: str
    suite: str
    channel: str
    facts: Facts
    alerts: tuple[str, ...]
    caption: str
    headings: tuple[Heading, ...]
    spans: tuple[tuple[str, int], ...]
    lines: tuple[Line, ...]
    notes: tuple[BoardNote, ...]


@dataclass(frozen=True)
class Choice:
    """One of the values that a filter offers."""

    value: str
    title: str


@dataclass(frozen=True)
class MetricChoice:
    """A metric of a protocol that can be shown or hidden."""

    key: str
    title: str
    headline: bool


@dataclass(frozen=True)
class Filters:
    """What the filters offer: choices by name of the filter, metrics by protocol."""

    choices: dict[str, tuple[Choice, ...]]
    metrics: dict[str, tuple[MetricChoice, ...]]


# ------------------------------------------------------------------------------ figures and faces
@dataclass(frozen=True)
class Figure:
    """A figure as a data URI, or the reason why there is none."""

    kind: str
    title: str
    uri: str = ""
    caption: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Faces:
    """Faces as data URIs, a row per person; empty where there is none.

    Attributes:
        titles: Of the columns.
        rows: Per person one data URI per column.
        failures: Methods that could not run here, with the reason.
    """

    titles: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    failures: Facts = ()


# ------------------------------------------------------------------------------------------ cards
@dataclass(frozen=True)
class Grid:
    """A small table in a card or below a result."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Card:
    """What is known about a method, protocol, judge or dataset."""

    anchor: str
    name: str
    title: str
    summary: str
    tags: tuple[str, ...] = ()
    facts: Facts = ()
    grids: tuple[Grid, ...] = ()
    text: str = ""


# ------------------------------------------------------------------------------------- provenance
@dataclass(frozen=True)
class Run:
    """Where a result comes from, and how to get it again."""

    anchor: str
    title: str
    status: Literal["complete", "partial", "failed"]
    superseded: bool
    command: str
    facts: Facts
    grids: tuple[Grid, ...]


@dataclass(frozen=True)
class RunGroup:
    """The results of one protocol."""

    title: str
    runs: tuple[Run, ...]


# --------------------------------------------------------------------------------------- the page
@dataclass(frozen=True)
class Page:
    """Everything.

    Attributes:
        title: Of the page.
        counts: How many of what there are, for the line below the title.
        facts: What was run when, where, by which code.
        problems: Files that could not be read, with the reason.
        faces: None where none were asked for.
        few: In words, when a number counts as resting on few samples.
    """

    title: str
    counts: tuple[str, ...]
    facts: Facts
    problems: Facts
    boards: tuple[Board, ...]
    filters: Filters
    figures: tuple[Figure, ...]
    faces: Faces | None
    cards: dict[str, tuple[Card, ...]]
    runs: tuple[RunGroup, ...]
    few: str = ""
    alerts: tuple[str, ...] = field(default=())
