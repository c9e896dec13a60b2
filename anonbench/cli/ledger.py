"""`anonbench ledger`: where every number of the papers stands."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.options import AsJson

if TYPE_CHECKING:
    from anonbench.results.ledger import Line
    from anonbench.results.record import Result


class Format(StrEnum):
    """Formats of the ledger."""

    TEXT = "text"
    MARKDOWN = "markdown"


class Wanted(StrEnum):
    """Statuses that can be asked for."""

    MEASURED = "measured"
    RUNNABLE = "runnable"
    NEEDS = "needs"
    ILL_DEFINED = "ill-defined"


def register(app: typer.Typer) -> None:
    """Add the command `ledger`."""
    app.command()(ledger)


def ledger(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Folders that `anonbench run` wrote, e.g. `runs`; without: results/baselines of "
            "the checkout, where there is one.",
        ),
    ] = None,
    status: Annotated[
        Wanted | None,
        typer.Option(help="Only numbers of this status, e.g. `--status needs`."),
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="Format, e.g. `--format markdown`.")
    ] = Format.TEXT,
    data_root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where datasets are looked for, e.g. `--data-root ~/data`."
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="As on a machine that has neither weights nor data yet. Example: `--fresh`",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell of every number in the papers' tables whether it was measured, and if not, why.

    A number is `measured` by a result of the paper suite that differs in nothing that decides it;
    `runnable` with the command that measures it; it `needs` weights or data that only you can
    bring; or the paper leaves it `ill-defined`.

    Example: `anonbench ledger runs --status needs`
    """
    from anonbench.errors import BadConfig
    from anonbench.results import published
    from anonbench.results.ledger import BareMachine, Machine
    from anonbench.results.ledger import ledger as lines_of

    if fresh and data_root:
        raise BadConfig("--fresh means that no data are here.", mend="Leave out --data-root.")
    machine = BareMachine() if fresh else Machine(data_root)
    lines = lines_of(published.published(), _results(folders), machine)
    shown = [line for line in lines if status is None or line.status == status]
    if as_json:
        console.print_json(_document(lines, shown))
    else:
        sys.stdout.write(_text(lines, shown, format_))


def _results(folders: Sequence[Path] | None) -> list[Result]:
    """The results of the folders asked for, or of the checkout."""
    from anonbench.results import store

    own = Path(__file__).parents[2] / "results" / "baselines"
    asked = folders or ([own] if own.is_dir() else [])
    return [result for one in asked for result in store.load_folder(one, console.report_error)]


def _text(lines: Sequence[Line], shown: Sequence[Line], format_: Format) -> str:
    """The numbers shown; the counts are of all."""
    from anonbench.report import ledger, terminal

    if format_ is Format.MARKDOWN:
        return ledger.page(shown)
    styled = console.out.is_terminal
    width = console.out.width if styled else None
    tables = ledger.tables(shown)
    if any(line.status == "needs" for line in shown):
        tables.append(ledger.missing_table(shown))
    texts = [terminal.text(table, width=width, styled=styled) for table in tables]
    return "\n".join([*texts, f"{ledger.summary(lines)}\n"])


def _document(lines: Sequence[Line], shown: Sequence[Line]) -> dict[str, Any]:
    from anonbench.results.ledger import counts, missing

    return {
        "numbers": len(lines),
        "counts": counts(lines),
        "missing": [{**n._asdict(), "numbers": waiting} for n, waiting in missing(lines).items()],
        "cells": list(map(_cell, shown)),
    }


def _cell(line: Line) -> dict[str, Any]:
    from dataclasses import asdict

    printed = line.printed
    return {
        **printed.model_dump(exclude={"disputed", "unclear"}),
        "status": line.status,
        "why": list(_why(line)),
        "needs": [need._asdict() for need in line.needs],
        "command": line.command,
        "ours": asdict(line.ours) if line.ours else None,
        "others": [asdict(ours) for ours in line.others],
    }


def _why(line: Line) -> Iterator[dict[str, str]]:
    """What is ill-defined about a number or its ±."""
    for kind, doubts in (("disputed", line.printed.disputed), ("unclear", line.printed.unclear)):
        for doubt in doubts:
            yield {"kind": kind, **doubt.model_dump(include={"why", "source", "concerns"})}
