"""What the papers printed: their tables as data, to stand beside what was measured here.

One TOML file per table in `results/published`. Cells keep the precision in which they were
printed; methods, judges and metrics carry the names of this suite, also where it does not have
them yet.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anonbench.errors import BadConfig

Direction = Literal["lower", "higher"]
_CELL = re.compile(r"(\d+(?:\.(\d+))?)(?: ± (\d+\.\d+))?")


class _Printed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Doubt(_Printed):
    """Why nothing measured can be compared with a printed number.

    Attributes:
        why: What is wrong with it, or what was left open, in a sentence.
        source: Where that stands or was worked out.
        concerns: The number, or only what stands behind its ±.
        columns: For a row: of which of its cells; all of them where empty.
    """

    why: str
    source: str
    concerns: Literal["value", "std"] = "value"
    columns: tuple[str, ...] = ()


class _Doubtful(_Printed):
    """What may be ill-defined in a paper.

    Attributes:
        disputed: What a paper says against itself, or what cannot be so.
        unclear: What it leaves open, and no reading is evident.
    """

    disputed: tuple[Doubt, ...] = ()
    unclear: tuple[Doubt, ...] = ()


class PublishedColumn(_Doubtful):
    """A column of a table.

    Attributes:
        title: The paper's heading.
        group: The paper's heading above it and its neighbours.
        metric: Our name of what is measured.
        judge: Our name of the model that measured; empty where there is or was named none.
        direction: Which way is better.
        unit: Unit, empty for a plain number.
        protocol: Our protocol, where it is not the table's.
        white_box_for: Methods that were trained against this judge.
        note: What a reader of the number must know.
    """

    title: str
    group: str = ""
    metric: str
    judge: str = ""
    direction: Direction
    unit: str = ""
    protocol: str = ""
    white_box_for: tuple[str, ...] = ()
    note: str = ""

    @property
    def heading(self) -> str:
        """Group and title."""
        return f"{self.group} {self.title}".strip()


class PublishedRow(_Doubtful):
    """A row of a table: one method, or one variant of it, or it on another dataset.

    Attributes:
        method: Our name of the method.
        title: The paper's name of it; the authors' own method by its name, not "Ours".
        variant: Which ablation of the method.
        settings: Settings with which our method is that row, as after its name in a command.
        dataset: Our dataset, where it is not the table's.
        cells: One `value` or `value ± std` per column, as printed.
        note: What a reader of the numbers must know.
        notes: What a reader of one of them must know, by its metric.
    """

    method: str
    title: str
    variant: str = ""
    settings: str = ""
    dataset: str = ""
    cells: tuple[str, ...]
    note: str = ""
    notes: dict[str, str] = Field(default_factory=dict)


class PublishedValue(_Doubtful):
    """One number of a paper with all that belongs to it; `decimals` as printed."""

    table: str
    paper: str
    number: str
    protocol: str
    dataset: str
    method: str
    method_title: str
    variant: str
    settings: str
    channel: str
    judge: str
    column: str
    metric: str
    value: float
    std: float | None
    decimals: int
    unit: str
    direction: Direction
    white_box: bool
    note: str


class PublishedTable(_Doubtful):
    """A table of a paper; methods are rows here, also where the paper prints them as columns.

    Attributes:
        id: Name of the table, e.g. `g2face-table-1`.
        title: The paper's caption.
        paper: Short name of the paper.
        citation: How to cite it.
        number: Number of the table in the paper.
        protocol: Our protocol that measures the same.
        dataset: Our dataset; empty where none is involved.
        channel: Our publication channel, where it is known how the paper measured.
        transposed: Whether the paper prints methods as columns.
        stub: The paper's heading of its row labels.
        rows_are: What the row labels name.
        note: What the paper leaves open about its protocol.
        beside: Metrics of the protocol that the paper has not; they are shown where measured.
        columns: The columns in the paper's order.
        rows: The rows in the paper's order.
    """

    id: str
    title: str
    paper: str
    citation: str
    number: str
    protocol: str
    dataset: str = ""
    channel: str = ""
    transposed: bool = False
    stub: str = "Method"
    rows_are: Literal["methods", "datasets"] = "methods"
    note: str = ""
    beside: tuple[str, ...] = ()
    columns: tuple[PublishedColumn, ...]
    rows: tuple[PublishedRow, ...]

    @model_validator(mode="after")
    def _doubts_have_cells(self) -> Self:
        headings = {column.heading for column in self.columns}
        for row in self.rows:
            for doubt in (*row.disputed, *row.unclear):
                if absent := set(doubt.columns) - headings:
                    raise ValueError(f"{self.id}: no column '{', '.join(absent)}' to doubt")
        return self

    def values(self) -> Iterator[PublishedValue]:
        """All numbers of the table, row by row.

        Raises:
            ValueError: A row has not one cell per column, or a cell is not `value ± std`.
        """
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells, strict=True):
                yield self._value(row, column, cell)

    def _value(self, row: PublishedRow, column: PublishedColumn, cell: str) -> PublishedValue:
        parts = _CELL.fullmatch(cell)
        if parts is None:
            raise ValueError(f"{self.id}: '{cell}' is not a number or 'value ± std'")
        notes = (column.note, row.note, row.notes.get(column.metric, ""))
        return PublishedValue(
            table=self.id,
            paper=self.paper,
            number=self.number,
            protocol=column.protocol or self.protocol,
            dataset=row.dataset or self.dataset,
            method=row.method,
            method_title=row.title,
            variant=row.variant,
            settings=row.settings,
            channel=self.channel,
            judge=column.judge,
            column=column.heading,
            metric=column.metric,
            value=float(parts[1]),
            std=float(parts[3]) if parts[3] else None,
            decimals=len(parts[2] or ""),
            unit=column.unit,
            direction=column.direction,
            white_box=row.method in column.white_box_for,
            note="; ".join(note for note in notes if note),
            disputed=tuple(
                _doubts(column, parts, *(part.disputed for part in (self, column, row)))
            ),
            unclear=tuple(_doubts(column, parts, *(part.unclear for part in (self, column, row)))),
        )


def _doubts(
    column: PublishedColumn, printed: re.Match[str], *known: Iterable[Doubt]
) -> Iterator[Doubt]:
    """The doubts of a table, a column and a row that concern one cell."""
    for doubt in chain.from_iterable(known):
        concerned = doubt.concerns == "value" or printed[3]
        if concerned and column.heading in (doubt.columns or (column.heading,)):
            yield doubt


def published() -> list[PublishedValue]:
    """Every number of the papers' tables."""
    return [value for entry in tables().values() for value in entry.values()]


def table(table_id: str) -> PublishedTable:
    """One table of a paper.

    Raises:
        BadConfig: There is no table with this id.
    """
    if table_id not in tables():
        raise BadConfig(
            f"There is no published table '{table_id}'.", why=f"There are: {', '.join(tables())}."
        )
    return tables()[table_id]


@cache
def tables() -> dict[str, PublishedTable]:
    """All tables by id."""
    found = (
        PublishedTable.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        for path in sorted(_folder().glob("*.toml"))
    )
    return {entry.id: entry for entry in found}


def _folder() -> Path:
    """Beside this module in an installed wheel, in `results/` of a checkout otherwise."""
    installed = Path(__file__).with_suffix("")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "results" / "published"
