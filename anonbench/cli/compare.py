"""`anonbench compare`: what got better or worse between two sets of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anonbench.cli import console
from anonbench.cli.options import AsJson

if TYPE_CHECKING:
    from anonbench.results.compare import Cell
    from anonbench.results.matching import Stored

Alpha = Annotated[
    float,
    typer.Option(min=0.0001, max=0.5, help="Level of the adjusted p-values. Example: --alpha 0.01"),
]
Replicates = Annotated[
    int | None,
    typer.Option(
        "--bootstrap",
        min=100,
        help="Replicates of the bootstrap; without: as in the results. Example: --bootstrap 2000",
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Also show what is the same. Example: --all")]
Markdown = Annotated[
    bool, typer.Option("--markdown", help="Print the table as Markdown. Example: --markdown")
]


def register(app: typer.Typer) -> None:
    """Add the command `compare`."""
    app.command()(compare)


def compare(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A result, or a folder of them, e.g. `runs/old`.")
    ],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="What may be better or worse, e.g. `runs/new`.")
    ],
    alpha: Alpha = 0.05,
    replicates: Replicates = None,
    every: Every = False,
    as_json: AsJson = False,
    markdown: Markdown = False,
) -> None:
    """Say cell by cell what is better, worse, the same, or not comparable and why.

    Cells are matched by method, protocol, suite, dataset, judge, metric and seeds; where A and B
    have one method each, the two methods are compared. Exit status: 0 when nothing is worse, 1
    when something is, 3 when nothing could be compared.

    Example: anonbench compare runs/old runs/new
    """
    from anonbench.results import compare as comparing

    options = comparing.Options(alpha=alpha, replicates=replicates, report=tell)
    cells = comparing.compare(read(first), read(second), options)
    status = _status(cells)
    if as_json:
        console.print_json(document(cells, alpha) | {"exit_code": status})
    else:
        show(cells, alpha, every, markdown, ("A", "B"))
    raise typer.Exit(status)


def read(place: Path) -> list[Stored]:
    """The results of a file or a folder; those that cannot be read are named on stderr."""
    from anonbench.results import matching

    return matching.read(place, console.report_error)


def tell(line: str) -> None:
    """Progress, on stderr."""
    console.err.print(line, markup=False, style="dim")


def document(cells: Sequence[Cell], alpha: float) -> dict[str, object]:
    """A comparison as one JSON document."""
    verdicts = [cell.verdict for cell in cells]
    return {
        "counts": {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)},
        "correction": {
            "method": "Holm",
            "alpha": alpha,
            "cells": sum(cell.p is not None for cell in cells),
        },
        "cells": [asdict(cell) for cell in cells],
    }


def show(
    cells: Sequence[Cell], alpha: float, every: bool, markdown: bool, sides: tuple[str, str]
) -> None:
    """The table, or one line where there is nothing to show in it."""
    from anonbench.report import comparison, markup, terminal

    made = comparison.table(cells, alpha=alpha, every=every, sides=sides)
    if markdown:
        typer.echo(markup.markdown(made))
    elif made.rows:
        styled = console.out.is_terminal
        width = console.out.width if styled else None
        typer.echo(terminal.text(made, width=width, styled=styled), nl=False)
    else:
        for line in (made.caption, *(note.text for note in made.notes)):
            typer.echo(line)


def _status(cells: Sequence[Cell]) -> int:
    verdicts = {cell.verdict for cell in cells}
    if "worse" in verdicts:
        return 1
    return 0 if verdicts - {"not comparable"} else 3
