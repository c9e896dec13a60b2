"""CSV of a table as it is printed: the same cells, for a spreadsheet."""

import csv
from collections.abc import Sequence
from io import StringIO

from anonbench.report.model import Cell, Column, Table

_SIGNS = {0: "", 1: " (best)", 2: " (second)"}


def sheet(tables: Sequence[Table]) -> str:
    """All tables below each other, an empty line between them; caption above, notes below.

    Every row starts with the heading of its group, which may be empty. Ranks stand behind the
    numbers as words, then marks of footnotes.
    """
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for at, table in enumerate(tables):
        writer.writerows([[]] if at else [])
        titled = bool(table.spans())
        writer.writerow([table.caption])
        writer.writerow(["", table.stub, *(_heading(column, titled) for column in table.columns)])
        writer.writerows([row.group, row.heading, *map(_cell, row.cells)] for row in table.rows)
        writer.writerows([f"{note.mark} {note.text}".strip()] for note in table.notes)
    return buffer.getvalue()


def _heading(column: Column, titled: bool) -> str:
    return f"{column.group}: {column.heading}" if titled else column.heading


def _cell(cell: Cell) -> str:
    delta = f" {cell.delta}" if cell.delta else ""
    marks = f" {','.join(cell.marks)}" if cell.marks else ""
    return f"{cell.text}{delta}{_SIGNS[cell.rank]}{marks}"
