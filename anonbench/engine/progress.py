"""Progress on stderr: bars with rate and ETA on a terminal, nothing at all elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text


class _Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="progress.data.speed")


class Progress:
    """Shows stages as they run.

    Args:
        console: Where to; bars appear only if it is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def warn(self, text: str) -> None:
        """One line that a user should see whether or not there is a terminal."""
        self._console.print(f"[yellow]warning:[/] {text}")

    @contextmanager
    def stage(self, label: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
        """Show one stage; the block gets a function to advance it by a number of samples."""
        if done == total or not self._console.is_terminal:
            yield lambda count: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        with RichProgress(*columns, console=self._console) as bars:
            task = bars.add_task(label, total=total - done)
            yield lambda count: bars.advance(task, count)
