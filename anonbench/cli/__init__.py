"""The command line. Nothing in it imports torch before a command computes."""

import sys

from anonbench.errors import UserError


def main() -> None:
    """Entry point: a UserError becomes one message and an exit code, never a traceback."""
    try:
        _dispatch(sys.argv[1:])
    except UserError as error:
        from anonbench.cli.console import report_error

        report_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
    except KeyboardInterrupt:
        sys.exit(130)


def _dispatch(arguments: list[str]) -> None:
    """Typer, but for the plain `anonbench list KIND`.

    That one is typed all the time, and Typer with the pydantic it builds on takes 0.35 s to
    import, four times what listing takes.
    """
    if len(arguments) == 2 and arguments[0] == "list" and not arguments[1].startswith("-"):
        from anonbench.cli.listing import show

        show(arguments[1])
    else:
        from anonbench.cli.app import app

        app()
