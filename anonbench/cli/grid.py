"""`anonbench grid`: a picture of what methods do to faces."""

from pathlib import Path
from typing import Annotated

import typer

from anonbench.cli import console
from anonbench.cli.run import (
    DataRoot,
    DatasetName,
    DetectorName,
    Device,
    Methods,
    Offline,
    Suite,
    make_jobs,
    split,
)


def register(app: typer.Typer) -> None:
    """Add the command `grid`."""
    app.command("grid")(grid)


def grid(
    method: Methods,
    out: Annotated[Path, typer.Option(help="PNG file to write. Example: --out faces.png")],
    protocol: Annotated[
        str, typer.Option(help="Its samples are shown. Example: --protocol recovery")
    ] = "lfw-tar",
    suite: Suite = "demo",
    dataset: DatasetName = "",
    data_root: DataRoot = None,
    detector: DetectorName = "dlib-hog",
    count: Annotated[int, typer.Option(min=1, help="Rows. Example: --count 8")] = 6,
    side: Annotated[int, typer.Option(min=16, help="Pixels of a face. Example: --side 256")] = 160,
    device: Device = "auto",
    offline: Offline = False,
) -> None:
    """Draw faces as they are, as methods anonymize them, and as they recover them.

    What a run with the same options has stored is not computed again.

    Example: anonbench grid --method pixelate,g2face --out faces.png
    """
    from anonbench.engine.pictures import columns
    from anonbench.engine.progress import Progress
    from anonbench.files import atomic_write
    from anonbench.report.grid import draw_grid

    jobs = make_jobs(
        {
            "methods": split(method),
            "protocols": (protocol,),
            "suite": suite,
            "dataset": dataset,
            "data_root": data_root,
            "detector": detector,
            "device": device,
            "offline": offline,
        }
    )
    sheet = draw_grid(columns(jobs, count, Progress(console.err)), side)
    atomic_write(out, lambda path: sheet.save(path, "PNG"))
    console.out.print(str(out), markup=False)
