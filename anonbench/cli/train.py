"""`anonbench train`: train a method, or go on training it."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from anonbench.cli import console
from anonbench.errors import MissingExtra

_STOPPED = 130
"""Exit status of a run that was interrupted, as shells have it."""


def register(app: typer.Typer) -> None:
    """Add the command `train`."""
    app.command("train")(train)


def train(
    method: Annotated[
        str, typer.Argument(help="A method that can be trained. Example: `anonbench train g2face`")
    ],
    config: Annotated[
        str,
        typer.Option(
            metavar="FILE|NAME",
            help="A TOML file, or the name of one that comes with the method. Example: "
            "--config demo",
        ),
    ],
    data_root: Annotated[
        Path, typer.Option(help="Folder with the data sources. Example: --data-root ~/data")
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder for checkpoints, log and samples. Example: --out runs/g2face"),
    ],
    crops: Annotated[
        Path | None,
        typer.Option(
            help="Where the aligned crops are kept, OUT/crops by default; several runs can share "
            "them. Example: --crops ~/crops"
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the last checkpoint in OUT. Example: --resume"),
    ] = False,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1, mps. Example: --device cuda")
    ] = "auto",
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Other than the config's run.steps. Example: --steps 5000"),
    ] = None,
) -> None:
    """Train a method; Ctrl-C writes a checkpoint and stops.

    OUT gets log.jsonl, checkpoints, sample grids (original | anonymized | recovered) and, at
    every checkpoint, model.safetensors. On several GPUs:
    `accelerate launch -m anonbench train ...`

    Example: anonbench train g2face --config demo --data-root ~/data --out runs/g2face
    """
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise MissingExtra("accelerate", "train", "anonbench train") from error
    from anonbench.training.progress import progress_line
    from anonbench.training.run import train as run
    from anonbench.training.settings import load_config

    settings = load_config(method, config, steps=steps)
    if int(os.environ.get("RANK", "0")):  # not the first of several processes
        console.out.quiet = console.err.quiet = True
    console.show_log()
    total = settings.run.steps
    with _stop_signals() as stop, progress_line(console.err, method, total) as watch:
        done = run(
            settings,
            data_root,
            out,
            crops=crops,
            device=device,
            resume=resume,
            watch=watch,
            stop=stop,
        )
    console.out.print(str(done.checkpoint), markup=False)
    if done.step < total:
        console.err.print(f"Stopped at step {done.step} of {total}. To go on, add --resume.")
        raise typer.Exit(_STOPPED)


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn a first Ctrl-C (or SIGTERM) into a wish that the loop asks for; a second one kills."""
    wishes: list[int] = []

    def wish(number: int, frame: FrameType | None) -> None:
        wishes.append(number)
        if len(wishes) > 1:
            raise KeyboardInterrupt
        console.err.print("Stopping after this step, with a checkpoint. Once more: at once.")

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, wish) for number in numbers]
    try:
        yield lambda: bool(wishes)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
