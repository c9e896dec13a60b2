"""A comparison of results as a table: what moved, how far, and what decided."""

from collections import Counter
from collections.abc import Sequence

from anonbench.report.model import ARROWS, Cell, Column, Note, Notes, Row, Table
from anonbench.results import compare

_COLUMNS = ("Method", "Protocol", "Dataset", "Metric", "First", "Second", "Change", "p", "By")
_ORDER: tuple[compare.Verdict, ...] = ("worse", "not comparable", "better", "same")


def table(
    cells: Sequence[compare.Cell], *, alpha: float, every: bool, sides: tuple[str, str]
) -> Table:
    """The table of a comparison, the worst first.

    Args:
        cells: What was compared.
        alpha: Level at which p-values were read.
        every: Whether cells that are the same have a row.
        sides: What the two sides are called.
    """
    notes = Notes()
    shown = [c for c in cells if every or c.verdict != "same"]
    rows = [
        Row(label=cell.verdict, reference=False, cells=_cells(cell, notes))
        for verdict in _ORDER
        for cell in shown
        if cell.verdict == verdict
    ]
    titles = [{"First": sides[0], "Second": sides[1]}.get(name, name) for name in _COLUMNS]
    return Table(
        name="comparison",
        caption=summary(cells),
        columns=tuple(Column(title=title, group="", direction="none") for title in titles),
        rows=tuple(rows),
        notes=(*notes.all(), *(Note(line) for line in method(cells, alpha))),
        stub="Verdict",
    )


def summary(cells: Sequence[compare.Cell]) -> str:
    """How many cells became what, in one line."""
    counts = Counter(cell.verdict for cell in cells)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _ORDER)
    return f"{len(cells)} cells: {told}."


def method(cells: Sequence[compare.Cell], alpha: float) -> list[str]:
    """How cells were decided, one sentence each."""
    by = Counter(cell.by for cell in cells)
    identical = by["identical scores"]
    tested = sum(cell.p is not None for cell in cells)
    lines = []
    if tested:
        lines.append(
            f"{identical} cells have identical scores, {tested - identical} were "
            f"decided by a paired bootstrap over identities: p-values adjusted after Holm for "
            f"{tested} comparisons, level {alpha:g}; the interval of a change is that of 95 %, "
            "unadjusted. 'same' means that no difference was shown, not that there is none."
        )
    if by["intervals"]:
        lines.append(
            f"Intervals: {by['intervals']} cells by whether the intervals in the files overlap."
        )
    if by["values"]:
        lines.append(
            f"Values: {by['values']} cells by the values alone, since there is no interval: "
            "any difference counts."
        )
    if by["tolerance"]:
        lines.append(f"Tolerance: {by['tolerance']} cells by the tolerance file.")
    return lines


def _cells(cell: compare.Cell, notes: Notes) -> tuple[Cell, ...]:
    reasons = (*((cell.reason,) if cell.reason else ()), *cell.changes, *cell.notes)
    marks = tuple(notes.mark(reason) for reason in reasons)
    measured = " ".join((cell.metric, ARROWS[cell.direction])).strip()
    texts = (
        cell.method,
        cell.protocol,
        f"{cell.dataset} ({cell.suite})",
        f"{measured}, {cell.judge}" if cell.judge else measured,
        _number(cell.before),
        _number(cell.after),
        _change(cell),
        "" if cell.p_holm is None else f"{cell.p_holm:.2g}",
    )
    return (*(Cell(text=text) for text in texts), Cell(text=cell.by or "–", marks=marks))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _change(cell: compare.Cell) -> str:
    if cell.before is None or cell.after is None:
        return "–"
    change = f"{cell.after - cell.before:+.3g}"
    if cell.low is None or cell.high is None:
        return change
    return f"{change} [{cell.low:+.3g}, {cell.high:+.3g}]"
