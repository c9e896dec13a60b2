"""Progress of downloads on stderr: bars on a terminal, silence elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress


class Progress:
    """Bars for any number of downloads; a context manager."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
        )
        self._rich = RichProgress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._rich.stop()

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A bar without an end, for another program whose progress is not known."""
        task = self._rich.add_task(text, total=None)
        try:
            yield
        finally:
            self._rich.remove_task(task)

    @contextmanager
    def bar(self, text: str) -> Iterator["Bar"]:
        """A bar for one download."""
        bar = Bar(self._rich, text)
        try:
            yield bar
        finally:
            bar.close()


class Bar:
    """One download's bar."""

    def __init__(self, rich: RichProgress, text: str) -> None:
        self._rich = rich
        self._task = rich.add_task(text, total=None)

    def update(self, done: int, total: int | None) -> None:
        """Show `done` of `total` bytes; `total` is None where the server does not say."""
        self._rich.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take the bar away."""
        self._rich.remove_task(self._task)
