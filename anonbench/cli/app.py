"""The Typer app: each command group registers itself."""

import typer

from anonbench.cli import (
    cache,
    check,
    compare,
    data,
    explore,
    fetch,
    grid,
    ledger,
    new_method,
    parity,
    photos,
    plot,
    report,
    run,
    table,
    test_judge,
    test_method,
    train,
)

app = typer.Typer(
    name="anonbench",
    help="The benchmark suite for face anonymization.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
groups = (
    explore, fetch, data, run, cache, grid, photos, table, plot, report, ledger, compare, check,
    new_method, test_method, test_judge, parity, train,
)  # fmt: skip
for group in groups:
    group.register(app)
