"""`anonbench plot`: stored results as figures for a paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.run import split
from anonbench.errors import BadConfig, BadData, UnknownName
from anonbench.report.figures import KINDS, SHEETS

if TYPE_CHECKING:
    from anonbench.report.figures.drawing import Drawing
    from anonbench.report.figures.source import Source

EVERY = "all"


class Format(StrEnum):
    """Formats of figures."""

    PDF = "pdf"
    SVG = "svg"
    PNG = "png"


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

KindName = Annotated[
    str,
    typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}, or all of them. Example: roc"),
]
Output = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="A .pdf, .svg or .png file; a folder for all kinds. Example: --out roc.pdf",
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="Only these methods, repeated or with commas. Example: --method identity,g2face",
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", help="Only these datasets, likewise. Example: --dataset lfw"),
]
Judges = Annotated[
    list[str] | None,
    typer.Option("--judge", help="Only these judges, likewise. Example: --judge dlib-resnet"),
]
Across = Annotated[
    str | None,
    typer.Option(
        metavar=_METRIC, help="Metric across, of `pareto`. Example: --x lfw-tar/tar/fr-feature"
    ),
]
Upwards = Annotated[
    str | None,
    typer.Option(
        metavar=_METRIC,
        help="Metric upwards, of `pareto` and `robustness`. Example: --y recovery/psnr",
    ),
]
ProjectionName = Annotated[
    Projection | None,
    typer.Option(help="Which map, of `identity-map`. Example: --projection pca"),
]
Dimensions = Annotated[
    int | None,
    typer.Option(min=2, max=3, help="Dimensions of `identity-map`. Example: --dims 3"),
]
Width = Annotated[float, typer.Option(min=6, max=60, help="Width in cm. Example: --width 18")]
FormatName = Annotated[
    Format | None,
    typer.Option("--format", help="Of all kinds, pdf by default. Example: --format svg"),
]


def plot(
    kind: KindName,
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder that `anonbench run` wrote. Example: runs"),
    ],
    out: Output,
    method: Methods = None,
    dataset: Datasets = None,
    judge: Judges = None,
    x: Across = None,
    y: Upwards = None,
    projection: ProjectionName = None,
    dims: Dimensions = None,
    width: Width = 8.8,
    format_: FormatName = None,
) -> None:
    """Draw stored results as a figure for a paper; no face is in it.

    What weakens the numbers stands in the figure; what its caption needs is printed. Of `all`
    kinds those are drawn for which there are results; the captions stand in captions.txt.

    Example: anonbench plot roc runs --out roc.pdf
    """
    from anonbench.report.figures import style
    from anonbench.report.figures.source import Choice, open_source
    from anonbench.results import store

    if kind not in (*KINDS, EVERY):
        raise UnknownName("kind of figure", kind, KINDS, "See: anonbench plot --help")
    given = {"x": x, "y": y, "projection": projection and projection.value, "dims": dims}
    chosen = _taken(kind, given, format_)
    if kind != EVERY:
        style.check_format(out)
    results = store.load_folder(folder, console.report_error)

    def source(**options: Any) -> Source:
        choice = Choice(
            methods=split(method or []),
            datasets=split(dataset or []),
            judges=split(judge or []),
            width=width,
            **options,
        )
        return open_source(folder, results, choice)

    if kind == EVERY:
        _draw_all(source, out, format_ or Format.PDF)
        return
    drawing = KINDS[kind].draw(source(**chosen))
    style.save(drawing.figure, out)
    for text in (str(out), *_told(drawing)):
        console.out.print(text, markup=False)


def _draw_all(source: Callable[..., Source], folder: Path, format_: Format) -> None:
    """A figure of every kind for which there are results; the others are named.

    Raises:
        BadData: There are results for none.
    """
    from anonbench.files import atomic_write
    from anonbench.report.figures import style

    captions: list[str] = []
    for sheet in SHEETS:
        out = folder / f"{sheet.name}.{format_}"
        try:
            drawing = KINDS[sheet.kind].draw(source(**sheet.options))
        except (BadConfig, BadData) as error:
            console.out.print(f"skipped {sheet.name}: {error}", markup=False)
            continue
        style.save(drawing.figure, out)
        console.out.print(str(out), markup=False)
        captions += [out.name, *_told(drawing), ""]
    if not captions:
        raise BadData("No figure was drawn.", why="The reasons stand above.")
    atomic_write(folder / "captions.txt", lambda path: path.write_text("\n".join(captions)))


def _told(drawing: Drawing) -> Iterator[str]:
    """What a caption needs, and what weakens the numbers."""
    yield from drawing.caption
    yield from (f"note: {text}" for text in drawing.warnings)


def _taken(kind: str, given: dict[str, Any], format_: Format | None) -> dict[str, Any]:
    """Options that were given.

    Raises:
        BadConfig: One that the kind does not have.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if kind == EVERY:
        if chosen:
            raise BadConfig(f"`all` has no --{next(iter(chosen))}.", why="Each kind has its own.")
        return chosen
    if format_:
        raise BadConfig(
            "--format is an option of `all`.", why="The ending of --out says what one figure is."
        )
    for name in chosen:
        if name not in KINDS[kind].takes:
            having = ", ".join(known for known, other in KINDS.items() if name in other.takes)
            raise BadConfig(f"`{kind}` has no --{name}.", why=f"It is an option of: {having}.")
    return chosen
