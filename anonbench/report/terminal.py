"""A table as text for a terminal, or for a pipe: there `*x*` is bold and `_x_` underlined."""

from io import StringIO
from typing import Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from anonbench.report.model import Cell, Table

_STYLES = {0: "", 1: "bold", 2: "underline"}
_WIDTH = 22
_SIGNS = {0: "", 1: "*", 2: "_"}


def text(table: Table, *, width: int | None, styled: bool) -> str:
    """The table as text.

    Args:
        table: The table.
        width: Columns of the terminal, or None for as many as the table wants.
        styled: Whether to use escape codes for bold and underlined.
    """
    grid = _grid(table, styled)
    buffer = StringIO()
    colours: Literal["standard"] | None = "standard" if styled else None
    console = Console(file=buffer, force_terminal=styled, color_system=colours, highlight=False)
    wanted = Measurement.get(console, console.options.update(max_width=10_000), grid).maximum
    console.width = width or max(wanted, 80)
    console.print(grid)
    console.print(Text(table.caption))
    for note in table.notes:
        console.print(Text(f"{note.mark} {note.text}".strip()))
    return buffer.getvalue()


def _grid(table: Table, styled: bool) -> Grid:
    titled = bool(table.spans())
    grid = Grid(box=box.HORIZONTALS)
    grid.add_column(table.stub, vertical="bottom")
    for at, column in enumerate(table.columns):
        heading = f"{column.group}\n{column.heading}" if titled else column.heading
        width = max([_WIDTH, *(len(_cell(row.cells[at], styled)) for row in table.rows)])
        grid.add_column(Text(heading), justify="center", vertical="bottom", max_width=width)
    for group, rows in table.row_groups():
        if group:
            grid.add_section()
            grid.add_row(Text(group, style="italic" if styled else ""))
        for row in rows:
            label = Text(f"  {row.heading}" if group else row.heading)
            cells = (_cell(c, styled) for c in row.cells)
            grid.add_row(label, *cells, end_section=row.reference and not group)
    return grid


def _cell(cell: Cell, styled: bool) -> Text:
    sign = "" if styled else _SIGNS[cell.rank]
    printed = Text().append(f"{sign}{cell.text}{sign}", style=_STYLES[cell.rank])
    printed.append(f" {cell.delta}" if cell.delta else "")
    return printed.append(f" {','.join(cell.marks)}" if cell.marks else "")
