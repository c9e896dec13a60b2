"""`anonbench table` and `anonbench schema`: what was measured, ready for a paper."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anonbench.cli import console

if TYPE_CHECKING:
    from anonbench.report.cells import Style
    from anonbench.report.model import Table
    from anonbench.results.record import Result


class Format(StrEnum):
    """Formats of a table."""

    TEXT = "text"
    LATEX = "latex"
    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"
    CSV = "csv"
    SHEET = "csv-table"


class Document(StrEnum):
    """Document classes of a whole LaTeX document."""

    NONE = "none"
    ARTICLE = "article"
    IEEETRAN = "ieeetran"


class Spread(StrEnum):
    """What stands behind a number."""

    STD = "std"
    CI = "ci"
    NONE = "none"


class Ties(StrEnum):
    """Which numbers are equally good."""

    PRINTED = "printed"
    CI = "ci"


EVERY = "all"
"""The layout that means all tables."""

DocumentOption = Annotated[
    Document,
    typer.Option(
        help="Of LaTeX and PDF: a whole document of this class, the one-column article or the "
        "IEEE's two columns; LaTeX is otherwise what a paper can include, e.g. "
        "`--document ieeetran`."
    ),
]
DeltaOption = Annotated[
    bool,
    typer.Option(
        "--delta/--no-delta",
        help="Behind each number its difference to the published one, e.g. `--delta`.",
    ),
]
TiesOption = Annotated[
    Ties,
    typer.Option(
        help="Numbers that are best together: printed alike, or with overlapping confidence "
        "intervals, e.g. `--ties ci`."
    ),
]
SpreadOption = Annotated[
    Spread,
    typer.Option(
        help="Behind each number ± its standard deviation, its confidence interval in "
        "brackets, or nothing, e.g. `--spread ci`."
    ),
]


LayoutOption = Annotated[
    str,
    typer.Option(
        help="One table as in a paper, its numbers above those measured here, "
        "e.g. `--layout drdpgan-table-2`; `all` for a table per protocol and then every "
        "table of the papers, whether anything of it was measured or not.",
        metavar="TABLE",
    ),
]
MetricOption = Annotated[
    str,
    typer.Option(help="Metrics, e.g. `--metric tar,auc`; without: the protocol's headlines."),
]
PublishedOption = Annotated[
    bool,
    typer.Option(
        "--published/--no-published",
        help="Put the papers' values beside the measured ones, e.g. `--no-published`.",
    ),
]
DigitsOption = Annotated[
    int | None,
    typer.Option(
        min=0, max=10, help="Decimals, e.g. `--digits 4`; without: as in the paper, else 3."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command()(table)
    app.command()(schema)


def table(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder that `anonbench run` wrote, e.g. `runs`."),
    ],
    format_: Annotated[
        Format, typer.Option("--format", help="Format of the table, e.g. `--format latex`.")
    ] = Format.TEXT,
    layout: LayoutOption = "",
    protocol: Annotated[
        str, typer.Option(help="Only this protocol, e.g. `--protocol lfw-tar`.")
    ] = "",
    metric: MetricOption = "",
    published: PublishedOption = True,
    digits: DigitsOption = None,
    delta: DeltaOption = False,
    ties: TiesOption = Ties.PRINTED,
    spread: SpreadOption = Spread.STD,
    document: DocumentOption = Document.NONE,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write to a file, e.g. `--output table.tex`."),
    ] = None,
) -> None:
    """Print results as a table: methods by judges, grouped by what may be compared.

    With --layout it has the columns of a paper's table and groups of rows: the paper's numbers,
    then what was measured here, a group per data, judge and channel; methods are columns where
    the paper has them so.

    LaTeX needs the packages booktabs and graphicx; what is larger than a page comes in parts. A
    PDF needs LaTeX (on Debian: texlive-latex-recommended) and --output.

    Of the two kinds of CSV, csv-table is the table as printed; csv is long: one line per metric,
    whatever --metric says, with every field.

    Example: `anonbench table runs --layout g2face-table-1 --format latex`.
    """
    from anonbench.report.cells import Style
    from anonbench.results import store

    _check_options(layout, metric, format_, document, output)
    paper = "" if layout == EVERY else layout
    results = store.load_folder(folder, console.report_error)
    grouped = _by_protocol(results, folder, protocol, paper)
    if format_ is Format.CSV:
        _emit(_csv(grouped, paper, published), output)
        return
    metrics = tuple(name for name in metric.split(",") if name)
    style = Style(spread.value, ties.value, delta)
    tables = [] if paper else _tables(grouped, metrics, published, digits, style)
    papers = _papers(protocol) if layout == EVERY else [paper] if paper else []
    tables += [_paper_table(grouped, name, published, digits, style) for name in papers]
    if format_ is Format.PDF and output is not None:
        _typeset(tables, document, folder, output)
    elif document is not Document.NONE:
        _emit(_document(tables, document, folder), output)
    else:
        _emit(_render(tables, format_, to_file=output is not None), output)


def schema() -> None:
    """Print the JSON Schema of a result file.

    Example: `anonbench schema > result.schema.json`.
    """
    from anonbench.results import store

    _emit(store.schema(), None)


def _check_options(
    layout: str, metric: str, format_: Format, document: Document, output: Path | None
) -> None:
    from anonbench.errors import BadConfig

    if layout and metric:
        raise BadConfig(
            f"--layout {layout} already says which metrics are shown.",
            mend="Leave --metric or --layout out.",
        )
    if format_ is Format.PDF and output is None:
        raise BadConfig("A PDF needs a file.", mend="Name it, such as --output tables.pdf")
    if document is not Document.NONE and format_ not in (Format.LATEX, Format.PDF):
        raise BadConfig(
            f"--document {document} says nothing about --format {format_}.",
            why="Documents are LaTeX or PDF.",
        )


def _papers(protocol: str) -> list[str]:
    """The tables of the papers, those with numbers of a protocol where one is asked for."""
    from anonbench.results import published

    return [
        name
        for name, paper in published.tables().items()
        if not protocol or protocol in {value.protocol for value in paper.values()}
    ]


def _by_protocol(
    results: Sequence[Result], folder: Path, protocol: str, layout: str
) -> dict[str, list[Result]]:
    """The results of each protocol that is to be shown.

    Raises:
        BadData: There are none.
    """
    from anonbench.errors import BadData
    from anonbench.results import published

    wanted = {value.protocol for value in published.table(layout).values()} if layout else None
    grouped: dict[str, list[Result]] = {}
    for result in results:
        name = result.protocol.name
        if protocol in ("", name) and (wanted is None or name in wanted):
            grouped.setdefault(name, []).append(result)
    if not grouped:
        asked = protocol or ", ".join(sorted(wanted or ()))
        has = ", ".join(sorted({result.protocol.name for result in results}))
        raise BadData(
            f"There are no results {f'of {asked} ' if asked else ''}in {folder}.",
            why=f"It has results of: {has}." if has else "",
            mend=f"Run: anonbench run --method identity,pixelate --protocol "
            f"{asked or 'lfw-tar'} --suite demo --output {folder}",
        )
    return grouped


def _tables(
    grouped: dict[str, list[Result]],
    metrics: Sequence[str],
    published: bool,
    digits: int | None,
    style: Style,
) -> list[Table]:
    from anonbench.report.tables import build, plan_layout

    return [
        build(
            results,
            plan_layout(
                results,
                protocol,
                metrics=metrics,
                show_published=published,
                digits=digits,
            ),
            style,
        )
        for protocol, results in sorted(grouped.items())
    ]


def _paper_table(
    grouped: dict[str, list[Result]],
    layout: str,
    published: bool,
    digits: int | None,
    style: Style,
) -> Table:
    from anonbench.report import paper_layout
    from anonbench.results import published as papers

    results = [result for _, group in sorted(grouped.items()) for result in group]
    paper = papers.table(layout)
    return paper_layout.build(results, paper, show_published=published, digits=digits, style=style)


def _csv(grouped: dict[str, list[Result]], layout: str, published: bool) -> str:
    from anonbench.report.long import csv_text
    from anonbench.results import published as papers

    values = [
        value
        for value in papers.published()
        if published and value.protocol in grouped and layout in ("", value.table)
    ]
    return csv_text([result for group in grouped.values() for result in group], values)


def _render(tables: Sequence[Table], format_: Format, *, to_file: bool) -> str:
    from anonbench.report import latex, markup, sheet, terminal

    if format_ is Format.HTML:
        return markup.html(tables)
    if format_ is Format.SHEET:
        return sheet.sheet(tables)
    if format_ is Format.LATEX:
        return "\n".join(map(latex.latex, tables))
    if format_ is Format.MARKDOWN:
        return "\n".join(map(markup.markdown, tables))
    styled = console.out.is_terminal and not to_file
    width = console.out.width if styled else None
    return "\n".join(terminal.text(table, width=width, styled=styled) for table in tables)


def _document(tables: Sequence[Table], document: Document, folder: Path) -> str:
    from anonbench.report import document as documents

    kind = Document.ARTICLE if document is Document.NONE else document
    return documents.document(tables, kind, f"Tables of {folder.resolve().name}")


def _typeset(tables: Sequence[Table], document: Document, folder: Path, output: Path) -> None:
    """Write a PDF; what sticks out of its pages is told on stderr."""
    from anonbench.files import atomic_write
    from anonbench.report.typeset import typeset

    made = typeset(_document(tables, document, folder))
    atomic_write(output, lambda path: path.write_bytes(made.pdf))
    for line in made.overfull:
        console.err.print(f"warning: {line}", markup=False)
    console.out.print(f"{output}: {len(tables)} tables", markup=False)


def _emit(text: str, output: Path | None) -> None:
    """To a file, or to stdout as it is: rich would wrap it."""
    if output is None:
        sys.stdout.write(text)
        return
    from anonbench.errors import StoreError

    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"The table cannot be written to {output}: {error.strerror}.",
            mend="Give another file with --output FILE.",
        ) from error
