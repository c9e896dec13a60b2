"""`anonbench check`: the regression gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anonbench.cli import console
from anonbench.cli.compare import Alpha, Every, Markdown, Replicates, document, read, show, tell
from anonbench.cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the command `check`."""
    app.command()(check)


def check(
    baseline: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="What must be reached. Example: --baseline results/baselines"
        ),
    ],
    results: Annotated[
        Path,
        typer.Option(metavar="DIR", help="What was measured. Example: --results runs/today"),
    ] = Path("runs"),
    tolerance: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with what may get worse, and how far. Example: --tolerance gate.toml",
        ),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Let cells pass that only the baseline has. Example: --allow-missing",
        ),
    ] = False,
    alpha: Alpha = 0.05,
    replicates: Replicates = None,
    every: Every = False,
    as_json: AsJson = False,
    markdown: Markdown = False,
) -> None:
    """Fail when results are worse than a baseline.

    Exit status: 0 when all cells of the baseline are the same or better, 1 when one is worse, 3
    when none is worse but one is missing or not comparable.

    Example: anonbench check --baseline results/baselines --results runs
    """
    from anonbench.results import compare as comparing
    from anonbench.results import gate

    tolerances = gate.read_tolerances(tolerance) if tolerance else []
    options = comparing.Options(
        alpha=alpha,
        replicates=replicates,
        across_methods=False,
        sides=("the baseline", "the results"),
        report=tell,
    )
    cells = comparing.compare(read(baseline), read(results), options)
    found = gate.check(cells, tolerances, allow_missing=allow_missing)
    if as_json:
        told = {"outcome": found.outcome, "exit_code": found.exit_code}
        console.print_json(told | document(found.cells, alpha))
    else:
        show(found.cells, alpha, every, markdown, ("Baseline", "Results"))
        typer.echo(f"gate: {found.outcome}")
    raise typer.Exit(found.exit_code)
