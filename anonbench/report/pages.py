"""A table in parts that fit a printed page: cut between columns first, then between rows.

Widths are counted in characters and heights in lines of the table's own type, so a part is about
as large as is said here; what is still too wide is for the renderer to scale down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from textwrap import wrap

from anonbench.report.model import Cell, Column, Note, Row, Table

# Across both columns of a page, in the type of footnotes; one column holds half of it.
WIDTH = 130
LINES = 44
GAP = 2
HEADING = 16
LABEL = 36
_SPAN = 20  # of a heading above columns, however narrow they are
_RULE = 0.6  # a rule and the space around it, in lines


def parts(table: Table, *, above: float = 0) -> list[Table]:
    """The table itself where it fits, else its parts; each keeps the footnotes that it refers to.

    Args:
        table: The table.
        above: Lines of the page that the caption of the first part takes.

    Returns:
        Parts in order; together they have every cell and every footnote with a mark. Rows
        without anything in the columns of a part are left out there.
    """
    found: list[Table] = []
    for columns in _column_parts(table):
        found += _row_parts(_restricted(table, columns), 0 if found else above)
    return found


def width(table: Table) -> int:
    """Characters of the longest line of a table."""
    return _label_width(table) + sum(_column_width(table, at) for at in range(len(table.columns)))


def folded(text: str, room: int) -> list[str]:
    """Lines of at most so many characters where words allow it."""
    return wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def note_lines(notes: Sequence[Note], room: int) -> int:
    """Lines that footnotes take."""
    return sum(len(folded(note.text, room)) for note in notes)


# --------------------------------------------------------------------------------------- columns
def _column_parts(table: Table) -> Iterator[list[int]]:
    """Columns that stand side by side; a group is cut only where it is too wide by itself."""
    room = WIDTH - _label_width(table)
    chosen: list[int] = []
    for group in _column_groups(table, room):
        wanted = sum(_column_width(table, at) for at in (*chosen, *group))
        if chosen and wanted > room:
            yield chosen
            chosen = []
        chosen = [*chosen, *group]
    yield chosen


def _column_groups(table: Table, room: int) -> Iterator[list[int]]:
    for _, members in groupby(range(len(table.columns)), key=lambda at: table.columns[at].group):
        group = list(members)
        pieces = -(-sum(_column_width(table, at) for at in group) // room)
        size = -(-len(group) // pieces)
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _column_width(table: Table, at: int) -> int:
    heading = max(map(len, folded(table.columns[at].heading, HEADING)))
    return GAP + max([heading, *(_cell_width(row.cells[at]) for row in table.rows)])


def _cell_width(cell: Cell) -> int:
    return len(f"{cell.text} {cell.delta}".strip()) + len(cell.marks)


def _label_width(table: Table) -> int:
    labels = (line for row in table.rows for line in folded(row.heading, LABEL))
    return max(map(len, [table.stub, *labels])) + (GAP if any(r.group for r in table.rows) else 0)


def _restricted(table: Table, columns: Sequence[int]) -> Table:
    """Some columns of a table, and the rows that have something in them."""
    if len(columns) == len(table.columns):
        return table
    rows = (replace(row, cells=tuple(row.cells[at] for at in columns)) for row in table.rows)
    kept = tuple(row for row in rows if any(cell != Cell() for cell in row.cells))
    return replace(table, columns=tuple(table.columns[at] for at in columns), rows=kept)


# ------------------------------------------------------------------------------------------ rows
def _row_parts(table: Table, above: float) -> Iterator[Table]:
    """Rows that stand below each other; a group is cut only where it is too tall by itself."""
    chosen: list[Row] = []
    for group in _row_groups(table):
        if chosen and height(_with_rows(table, [*chosen, *group])) > LINES - above:
            yield _with_rows(table, chosen)
            chosen, above = [], 0
        chosen = [*chosen, *group]
    yield _with_rows(table, chosen)


def _row_groups(table: Table) -> Iterator[Sequence[Row]]:
    for _, rows in table.row_groups():
        whole = height(_with_rows(table, rows)) <= LINES
        yield from [rows] if whole else ((row,) for row in rows)


def height(table: Table) -> float:
    """Lines that the body of a table takes, with the footnotes that have marks."""
    groups = list(table.row_groups())
    room = width(table)
    headings = max((len(folded(column.heading, HEADING)) for column in table.columns), default=1)
    spans = max((len(folded(c.group, span_width(table, c))) for c in table.columns), default=0)
    rows = sum(len(folded(row.heading, LABEL)) for row in table.rows)
    titles = sum(len(folded(title, room)) for title, _ in groups if title)
    marked = [note for note in table.notes if note.mark]
    return headings + spans + rows + titles + _RULE * (2 + len(groups)) + note_lines(marked, room)


def span_width(table: Table, column: Column) -> int:
    """Characters that the heading above a column and its neighbours has."""
    columns = [at for at, other in enumerate(table.columns) if other.group == column.group]
    return max(_SPAN, sum(_column_width(table, at) for at in columns) - GAP)


def _with_rows(table: Table, rows: Sequence[Row]) -> Table:
    """Some rows of a table, and the footnotes that their cells refer to."""
    cells = [cell for row in rows for cell in row.cells]
    used = {mark for cell in cells for mark in (*cell.marks, cell.text)}
    return replace(
        table, rows=tuple(rows), notes=tuple(note for note in table.notes if note.mark in used)
    )
