"""`anonbench test-method`: does a method plug-in keep its promises to the suite?"""

from typing import TYPE_CHECKING, Annotated

import typer

from anonbench.cli import console

if TYPE_CHECKING:
    from anonbench.testing import Check

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}


def register(app: typer.Typer) -> None:
    """Add the command `test-method`."""
    app.command("test-method")(test_method)


def test_method(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:KEY=VALUE]",
            help="A registered method. Example: `anonbench test-method pixelate:block=24`",
        ),
    ],
    device: Annotated[
        str,
        typer.Option(help="Where to run it: auto, cpu, cuda, mps. Example: `--device cuda:1`"),
    ] = "cpu",
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Crop size in pixels, by default that of the method's template. "
            "Example: `--size 128`",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document. Example: `--json | jq .failed`")
    ] = False,
) -> None:
    """Run the conformance suite on a method.

    It checks shapes, range and dtype, determinism, independence of batch size and order, the
    effect of keys, recover's honesty, hidden bits, and the card, on synthetic faces without any
    data set. It exits with 1 where a check fails.

    Example: `anonbench test-method pixelate-heavy`
    """
    from anonbench.testing import check_method

    report("method", name, check_method(name, device, size), json)


def report(kind: str, name: str, checks: "list[Check]", json: bool) -> None:
    """Print the checks of a plug-in of a kind; exit with 1 where one failed."""
    from anonbench.testing import failures

    failed = len(failures(checks))
    if json:
        rows = [{"name": c.name, "status": c.status, "detail": _detail(c)} for c in checks]
        console.print_json({kind: name, "failed": failed, "checks": rows})
    else:
        _print_table(checks)
        passed = sum(check.passed for check in checks)
        skipped = len(checks) - passed - failed
        console.out.print(f"{name}: {passed} passed, {failed} failed, {skipped} skipped")
    if failed:
        raise typer.Exit(1)


def _detail(check: "Check") -> str:
    return check.skipped or check.detail


def _print_table(checks: "list[Check]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "result", "detail", box=None)
    for check in checks:
        status = Text(check.status, style=_STYLES[check.status])
        table.add_row(check.name, status, Text(_detail(check)))
    console.out.print(table, soft_wrap=False)
