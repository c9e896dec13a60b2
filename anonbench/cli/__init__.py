"""The command line.

Each command group registers itself; torch is imported by none of them before a command computes.
"""

import sys

import typer

from anonbench.cli import data, explore, fetch, run, table, test_method
from anonbench.cli.console import report_error
from anonbench.errors import UserError

app = typer.Typer(
    name="anonbench",
    help="The benchmark suite for face anonymization.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for group in (explore, fetch, data, run, table, test_method):
    group.register(app)


def main() -> None:
    """Entry point: a UserError becomes one message and an exit code, never a traceback."""
    try:
        app()
    except UserError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
