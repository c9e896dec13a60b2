"""`anonbench plot`: stored results as figures for a paper."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.run import split
from anonbench.errors import BadConfig, UnknownName
from anonbench.report.figures import KINDS


class Projection(StrEnum):
    """Maps that the protocol `identity-map` stores."""

    TSNE = "tsne"
    PCA = "pca"


def register(app: typer.Typer) -> None:
    """Add the command `plot`."""
    app.command("plot", epilog=_list_kinds())(plot)


def _list_kinds() -> str:
    return "\n\n".join(f"`{name}`: {kind.shows}" for name, kind in KINDS.items())


_METRIC = "PROTOCOL/METRIC[/JUDGE]"


def plot(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}. Example: roc")
    ],
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder that `anonbench run` wrote. Example: runs"),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="A .pdf, .svg or .png file. Example: --out roc.pdf"),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="Only these methods, repeated or with commas. Example: --method identity,g2face",
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", help="Only these datasets, likewise. Example: --dataset lfw"),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option("--judge", help="Only these judges, likewise. Example: --judge dlib-resnet"),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(
            metavar=_METRIC, help="Metric across, of `pareto`. Example: --x lfw-tar/tar/fr-feature"
        ),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            metavar=_METRIC,
            help="Metric upwards, of `pareto` and `robustness`. Example: --y recovery/psnr",
        ),
    ] = None,
    projection: Annotated[
        Projection | None,
        typer.Option(help="Which map, of `identity-map`. Example: --projection pca"),
    ] = None,
    dims: Annotated[
        int | None,
        typer.Option(min=2, max=3, help="Dimensions of `identity-map`. Example: --dims 3"),
    ] = None,
    width: Annotated[
        float, typer.Option(min=6, max=60, help="Width in cm. Example: --width 18")
    ] = 8.8,
) -> None:
    """Draw stored results as a figure for a paper; no face is in it.

    What weakens the numbers stands in the figure; what its caption needs is printed.

    Example: anonbench plot roc runs --out roc.pdf
    """
    from anonbench.report.figures import style
    from anonbench.report.figures.source import Choice, open_source
    from anonbench.results import store

    if kind not in KINDS:
        raise UnknownName("kind of figure", kind, KINDS, "See: anonbench plot --help")
    style.check_format(out)
    given = {"x": x, "y": y, "projection": projection and projection.value, "dims": dims}
    choice = Choice(
        methods=split(method or []),
        datasets=split(dataset or []),
        judges=split(judge or []),
        width=width,
        **_taken(kind, given),
    )
    results = store.load_folder(folder, console.report_error)
    drawing = KINDS[kind].draw(open_source(folder, results, choice))
    style.save(drawing.figure, out)
    console.out.print(str(out), markup=False)
    for line in (*drawing.caption, *(f"note: {text}" for text in drawing.warnings)):
        console.out.print(line, markup=False)


def _taken(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Options that were given.

    Raises:
        BadConfig: One that the kind does not have.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in chosen:
        if name not in KINDS[kind].takes:
            having = ", ".join(known for known, other in KINDS.items() if name in other.takes)
            raise BadConfig(f"`{kind}` has no --{name}.", why=f"It is an option of: {having}.")
    return chosen
