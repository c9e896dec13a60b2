"""`anonbench new-method`: a package to start from."""

from pathlib import Path
from typing import Annotated

import typer

from anonbench.cli import console
from anonbench.cli.options import AsJson


def register(app: typer.Typer) -> None:
    """Add the command `new-method`."""
    app.command("new-method")(new_method)


def new_method(
    name: Annotated[
        str,
        typer.Argument(
            help="What the method will be registered as: small letters, digits, dashes. "
            "Example: block-shuffle",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where the method's folder is made, outside anonbench's own checkout. "
            "Example: --out ~/methods",
        ),
    ] = Path(),
    reversible: Annotated[
        bool,
        typer.Option(
            "--reversible/--irreversible",
            help="Whether the method has `recover`. Example: --irreversible",
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Start a method: a Python package that works and passes the conformance suite as it is.

    It makes the folder DIR/NAME with a class to change, its card, one line that registers it, and
    a test. Nothing that exists is overwritten.

    Example: anonbench new-method block-shuffle --out ~/methods
    """
    from shlex import quote

    from anonbench.scaffold import MethodPackage, write_method

    package = MethodPackage(name, reversible)
    folder = write_method(package, out)
    place = quote(str(folder) if folder.is_absolute() else f"./{folder}")
    steps = [f"pip install -e {place}", f"anonbench test-method {name}", f"pytest {place}"]
    if as_json:
        files = [str(folder / path) for path in package.files()]
        console.print_json({"method": name, "folder": str(folder), "files": files, "next": steps})
        return
    console.out.print(f"{folder} holds a method that works, to be made yours:", markup=False)
    for path in package.files():
        console.out.print(f"  {path}", markup=False)
    console.out.print("Next:")
    for step in steps:
        console.out.print(f"  {step}", markup=False)
