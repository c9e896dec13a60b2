"""Ending a command early: in good order when asked once, at once when asked again."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from anonbench.cli import console

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = "\x1b[?25h"  # a progress display hides it


@contextmanager
def stoppable(then: str) -> Iterator[None]:
    """Ctrl-C or SIGTERM raises KeyboardInterrupt in the block; a second one ends the process.

    Args:
        then: What the user should know once it has stopped.

    Raises:
        typer.Exit: It was stopped; the exit status is 130 or 143, as shells have it.
    """
    before = {number: signal.signal(number, _stop) for number in _SIGNALS}
    try:
        yield
    except KeyboardInterrupt as stopped:
        console.err.print(f"Stopped. {then}")
        *_, number = (signal.SIGINT, *stopped.args)
        raise typer.Exit(128 + number) from stopped
    finally:
        if signal.getsignal(signal.SIGINT) is _stop:  # else the process is about to end
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, _end)
    console.err.print("Stopping: what is computed is being stored. Ctrl-C again ends at once.")
    raise KeyboardInterrupt(number)


def _end(number: int, frame: FrameType | None) -> None:
    """Nothing is waited for; worker processes notice that their parent is gone, and end too."""
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(128 + number)
