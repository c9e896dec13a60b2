"""The live line of a training: steps per second, time left, losses. Nothing off a terminal."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from anonbench.training.loop import Watch

_WINDOW = 300.0
"""Seconds over which the speed is taken, long enough for slow steps."""


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.2f} step/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress_line(console: Console, label: str, steps: int) -> Iterator[Watch]:
    """Show a training as it goes on; the block gets what the loop shall tell about each step."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
    )
    with Progress(
        *columns,
        console=console,
        disable=not console.is_terminal,
        speed_estimate_period=_WINDOW,
    ) as bars:
        task = bars.add_task(label, total=steps, losses="")

        def watch(step: int, losses: Mapping[str, float]) -> None:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
            bars.update(task, completed=step, losses=shown)

        yield watch
