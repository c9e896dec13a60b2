"""Cells of a table: what is printed for a number, and which place it takes in its column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from anonbench.report.entries import Entry
from anonbench.report.model import Cell, Direction, Name, Notes, overlapping, ranks

REFERENCE = "identity"
WHITE_BOX = "†"

Spread = Literal["std", "ci", "none"]
Ties = Literal["printed", "ci"]


@dataclass(frozen=True)
class Style:
    """How numbers are printed and ranked.

    Attributes:
        spread: What stands behind a number: ± its standard deviation, the ends of its confidence
            interval, or nothing. A published number keeps the ± of its paper unless nothing does.
        ties: Which numbers are equally good: those printed alike, or those of which the
            confidence intervals overlap.
        delta: Whether a measured number is followed by its difference to the published one.
    """

    spread: Spread = "std"
    ties: Ties = "printed"
    delta: bool = False


PLAIN = Style()


def cell(entry: Entry | None, decimals: int, rank: int, notes: Notes, style: Style = PLAIN) -> Cell:
    """An entry as it is printed; its footnotes are added to those of the table."""
    if entry is None:
        return Cell()
    text, delta = entry.instead, ""
    if entry.value is not None:
        text = f"{entry.value:.{decimals}f}{_spread(entry, decimals, style.spread)}"
        if entry.against is not None:
            # Of the printed numbers, which a reader subtracts; + 0.0 leaves no negative zero.
            printed = round(entry.value, decimals) - round(entry.against, decimals)
            delta = f"Δ {round(printed, decimals) + 0.0:+.{decimals}f}"
    marks = [notes.mark(note) for note in entry.notes]
    return Cell(text, rank, (*([WHITE_BOX] if entry.white_box else []), *marks), delta)


def _spread(entry: Entry, decimals: int, spread: Spread) -> str:
    if spread == "ci" and entry.interval is not None:
        return f" [{entry.interval[0]:.{decimals}f}, {entry.interval[1]:.{decimals}f}]"
    if entry.std is not None and (spread == "std" or (spread == "ci" and entry.published)):
        return f" ± {entry.std:.{decimals}f}"
    return ""


def places(
    rivals: Sequence[Entry], decimals: int, direction: Direction, ties: Ties = "printed"
) -> dict[Name, int]:
    """The rank of each row of one column, without the reference and what is not ranked."""
    rivals = [entry for entry in rivals if entry.ranked and entry.method != REFERENCE]
    printed = [None if e.value is None else round(e.value, decimals) for e in rivals]
    if ties == "ci":
        found = overlapping(
            [
                None if value is None else (value, *(entry.interval or (value, value)))
                for entry, value in zip(rivals, printed, strict=True)
            ],
            direction,
        )
    else:
        found = ranks(printed, direction)
    return {entry.row: place for entry, place in zip(rivals, found, strict=True)}
