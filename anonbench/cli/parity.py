"""`anonbench parity`: do the suite's networks compute what their authors' code computes?"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import console
from anonbench.errors import UnknownName

if TYPE_CHECKING:
    from anonbench.testing.parity import Comparison, Outcome

_STYLES = {"passed": "green", "failed": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command `parity`."""
    app.command("parity")(parity)


def parity(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder with MODEL.json and MODEL.npz for each model. "
            "Example: `anonbench parity ../shared/parity`",
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Check this model only; may be given several times. Example: `--model g2face`",
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON document. Example: `--json | jq '.models[].verdict'`"
        ),
    ] = False,
) -> None:
    """Compare networks with the outputs of the original code, without any checkpoint.

    The weights are rebuilt from each model's layout (keys, shapes, seed) and checked against its
    digest; the largest error of each output is taken relative to the output's scale. Models that
    the suite has no network for are listed; it exits with 1 where an output is missed, or where a
    model named with `--model` is not implemented.

    Example: `anonbench parity ../shared/parity --model arcface_r50`
    """
    from anonbench.testing.fixtures import fixture_names

    outcomes = _check(folder, _chosen(fixture_names(folder), model))
    if json:
        console.print_json({"folder": str(folder), "models": [_row(o) for o in outcomes]})
    else:
        _print_table(outcomes)
        _print_misses(outcomes)
    if any(o.verdict == "failed" or (model and not o.implemented) for o in outcomes):
        raise typer.Exit(1)


def _chosen(names: list[str], wanted: list[str] | None) -> list[str]:
    for name in wanted or ():
        if name not in names:
            raise UnknownName(
                "parity fixture", name, names, mend=f"The folder has: {', '.join(names)}"
            )
    return [name for name in names if not wanted or name in wanted]


def _check(folder: Path, names: list[str]) -> "list[Outcome]":
    from anonbench.testing.parity import check_parity

    outcomes = []
    with console.err.status("") as status:
        for name in names:
            status.update(f"Checking {name}")
            outcomes.append(check_parity(folder, name))
    return outcomes


def _row(outcome: "Outcome") -> dict[str, Any]:
    return {
        "model": outcome.name,
        "verdict": outcome.verdict,
        "problem": outcome.problem,
        "seconds": round(outcome.seconds, 3),
        "outputs": [_output_row(comparison) for comparison in outcome.comparisons],
    }


def _output_row(comparison: "Comparison") -> dict[str, Any]:
    return {
        "name": comparison.output,
        "passed": comparison.passed,
        "max_error": comparison.error if math.isfinite(comparison.error) else None,
        "tolerance": comparison.tolerance,
        "detail": comparison.detail,
    }


def _print_table(outcomes: "list[Outcome]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("model", "outputs", "worst output", box=None, pad_edge=False)
    table.add_column("max error", justify="right")
    table.add_column("tolerance", justify="right")
    table.add_column("verdict", no_wrap=True)
    for outcome in outcomes:
        if outcome.implemented:
            verdict = Text(outcome.verdict, style=_STYLES[outcome.verdict])
            table.add_row(outcome.name, *_figures(outcome), verdict)
    if table.rows:
        console.out.print(table, soft_wrap=False)
    missing = [outcome.name for outcome in outcomes if not outcome.implemented]
    if missing:
        console.out.print(f"not implemented: {', '.join(missing)}", style="dim", markup=False)


def _figures(outcome: "Outcome") -> tuple[str, ...]:
    """Outputs compared, the worst of them, its error and its tolerance."""
    worst = outcome.worst
    if worst is None:
        return ("",) * 4
    compared = sum(not comparison.detail for comparison in outcome.comparisons)
    return (
        f"{compared}/{len(outcome.comparisons)}",
        worst.output,
        f"{worst.error:.1e}",
        worst.tolerance if isinstance(worst.tolerance, str) else f"{worst.tolerance:.0e}",
    )


def _print_misses(outcomes: "list[Outcome]") -> None:
    for outcome in outcomes:
        if outcome.problem:
            console.out.print(f"{outcome.name}: {outcome.problem}", markup=False)
        for comparison in outcome.comparisons:
            if not comparison.passed:
                miss = comparison.detail or (
                    f"max error {comparison.error:.2e}, allowed {comparison.tolerance}"
                )
                console.out.print(f"{outcome.name}: {comparison.output}: {miss}", markup=False)
