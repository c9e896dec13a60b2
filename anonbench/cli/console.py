"""The consoles of the command line: results to stdout, everything else to stderr."""

import json
from typing import Any

from rich.console import Console

from anonbench.errors import UserError

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Any) -> None:
    """Machine-readable output: one JSON document on stdout."""
    out.print(json.dumps(value, indent=2, default=str), markup=False)


def report_error(error: UserError) -> None:
    """One clear message: what, why, how to mend it."""
    err.print("[bold red]error:[/] ", end="")
    err.print(error.what, markup=False)
    for label, text in (("why", error.why), ("mend", error.mend)):
        if text:
            err.print(f"  {label}: {text}", markup=False)
