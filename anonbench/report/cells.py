"""Cells of a table: what is printed for a number, and which place it takes in its column."""

from collections.abc import Sequence

from anonbench.report.entries import Entry
from anonbench.report.model import Cell, Direction, Name, Notes, ranks

REFERENCE = "identity"
WHITE_BOX = "†"


def cell(entry: Entry | None, decimals: int, rank: int, notes: Notes) -> Cell:
    """An entry as it is printed; its footnotes are added to those of the table."""
    if entry is None:
        return Cell()
    text = entry.instead
    if entry.value is not None:
        text = f"{entry.value:.{decimals}f}"
        text += f" ± {entry.std:.{decimals}f}" if entry.std is not None else ""
    marks = [notes.mark(note) for note in entry.notes]
    return Cell(text, rank, (*([WHITE_BOX] if entry.white_box else []), *marks))


def places(rivals: Sequence[Entry], decimals: int, direction: Direction) -> dict[Name, int]:
    """The rank of each row of one column, without the reference and what is not ranked."""
    rivals = [entry for entry in rivals if entry.ranked and entry.method != REFERENCE]
    printed = [None if e.value is None else round(e.value, decimals) for e in rivals]
    return {
        entry.row: place for entry, place in zip(rivals, ranks(printed, direction), strict=True)
    }
