"""The consoles of the command line: `out` for results (stdout), `err` for everything else.

They are built on first use, since importing rich would be a sixth of what `anonbench list` takes.
"""

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from anonbench.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


def __getattr__(name: str) -> "Console":
    if name not in ("out", "err"):
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return _console(stderr=name == "err")


@cache
def _console(stderr: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """Machine-readable output: one JSON document on stdout."""
    typer.echo(json.dumps(value, indent=2, default=str))


def report_error(error: UserError) -> None:
    """One clear message: what, why, how to mend it."""
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(error.what, err=True)
    for label, text in (("why", error.why), ("mend", error.mend)):
        if text:
            typer.echo(f"  {label}: {text}", err=True)


def show_log() -> None:
    """Show on stderr what is logged while long work goes on."""
    import logging

    from rich.logging import RichHandler

    handler = RichHandler(
        console=_console(stderr=True), show_time=False, show_level=False, show_path=False
    )
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
