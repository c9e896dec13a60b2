"""`anonbench report`: all results of a folder on one page, to be sent to a colleague."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anonbench.cli import console
from anonbench.cli.run import DataRoot, Device, Offline, make_jobs, split
from anonbench.errors import StoreError, UnknownName, UserError
from anonbench.report.figures import KINDS

if TYPE_CHECKING:
    from anonbench.report.grid import Column

_LARGE = 20
"""MB above which many mail servers refuse an attachment."""


def register(app: typer.Typer) -> None:
    """Add the command `report`."""
    app.command("report")(report)


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder that `anonbench run` wrote. Example: runs"),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="HTML file to write. Example: --out report.html"),
    ],
    title: Annotated[
        str, typer.Option(help="Title of the page. Example: --title 'Our method, June'")
    ] = "",
    figure: Annotated[
        list[str] | None,
        typer.Option(
            "--figure",
            help="Kinds of `anonbench plot`, repeated or with commas; all by default, `none` for "
            "no figures. Example: --figure pareto,roc",
        ),
    ] = None,
    with_faces: Annotated[
        bool,
        typer.Option(
            "--with-faces",
            help="Show faces of the demo dataset as the methods leave them. Without it no face is "
            "in the file. Example: --with-faces",
        ),
    ] = False,
    people: Annotated[
        int, typer.Option(min=1, max=40, help="Faces, with --with-faces. Example: --people 8")
    ] = 6,
    data_root: DataRoot = None,
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Write one self-contained HTML page: leaderboard, figures, cards, where numbers come from.

    It loads nothing from anywhere, and can be read without scripts.

    Example: anonbench report runs --out report.html
    """
    from anonbench.errors import BadData
    from anonbench.files import atomic_write
    from anonbench.report.page import build, faces, pictures, render
    from anonbench.results import store

    kinds = _kinds(figure)
    _check_writable(out)
    problems: list[UserError] = []
    results = store.load_folder(folder, problems.append)
    for problem in problems:
        console.report_error(problem)
    if not results:
        raise BadData(
            f"There are no results in {folder}.",
            why=f"{len(problems)} files in it cannot be used." if problems else "",
            mend="Run: anonbench run --method identity,pixelate --protocol lfw-tar --suite demo "
            f"--output {folder}",
        )
    drawer = _drawer(people, data_root, device, offline)
    page = build.build(
        title or f"Results in {folder.resolve().name}",
        results,
        problems,
        list(pictures.build(folder, results, kinds, _tell)),
        faces.build(results, drawer) if with_faces else None,
    )
    text = render.html(page)
    try:
        atomic_write(out, lambda path: path.write_text(text, encoding="utf-8"))
    except StoreError as error:
        raise StoreError(error.what, mend="Give another file with --out FILE.") from error
    size = len(text.encode()) / 1e6
    console.out.print(f"{out} ({size:.1f} MB, {len(results)} results)", markup=False)
    if size > _LARGE:
        console.err.print(f"Larger than {_LARGE} MB: it may be refused as an attachment.")


def _kinds(chosen: list[str] | None) -> Sequence[str]:
    kinds = tuple(KINDS) if chosen is None else split(chosen)
    kinds = () if kinds == ("none",) else kinds
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName("kind of figure", kind, KINDS, "See: anonbench plot --help")
    return kinds


def _check_writable(out: Path) -> None:
    """Refuse what can be seen before minutes are spent on figures.

    Raises:
        StoreError: The file cannot be written.
    """
    if out.is_dir():
        raise StoreError(
            f"{out} is a folder.", mend=f"Write for example --out {out / 'report.html'}"
        )


def _tell(kind: str) -> None:
    console.err.print(f"drawing {kind}", style="dim")


def _drawer(
    people: int, data_root: Path | None, device: str, offline: bool
) -> Callable[[str], Sequence[Column]]:
    """What gives the columns of a method, as `anonbench grid` draws them."""

    def draw(method: str) -> Sequence[Column]:
        from anonbench.engine.pictures import columns
        from anonbench.engine.progress import Progress
        from anonbench.report.page.faces import SUITE

        jobs = make_jobs(
            {
                "methods": (method,),
                "protocols": ("lfw-tar",),
                "suite": SUITE,
                "data_root": data_root,
                "device": device,
                "offline": offline,
            }
        )
        return columns(jobs, people, Progress(console.err))

    return draw
