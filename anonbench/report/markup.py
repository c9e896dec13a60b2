"""Markdown and HTML of a table; the HTML page loads nothing from anywhere."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from anonbench.report.model import Cell, Note, Row, Table

_MARKDOWN_STYLES = {0: "{}", 1: "**{}**", 2: "<u>{}</u>"}
_HTML_STYLES = {0: "{}", 1: "<strong>{}</strong>", 2: "<u>{}</u>"}
_CSS = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
section { overflow-x: auto; margin-bottom: 3rem; }
table { border-collapse: collapse; border-block: 2px solid; font-variant-numeric: tabular-nums; }
caption { text-align: start; padding-block: .5rem; }
th, td { padding: .25rem .75rem; text-align: center; white-space: nowrap; }
th[scope=row] { text-align: start; font-weight: normal; }
thead tr:last-child > * { border-bottom: 1px solid; }
tr.reference > * { border-bottom: 1px solid; }
th[scope=rowgroup] { border-top: 1px solid; text-align: start; font-style: italic; }
th[scope=colgroup] { border-bottom: 1px solid; }
small { display: block; max-width: 70rem; }
.delta { font-size: .8em; opacity: .8; }
"""


# -------------------------------------------------------------------------------------- Markdown
def markdown(table: Table) -> str:
    """A GitHub-flavoured table with its caption above and its notes below."""
    titled = len(table.spans()) > 1
    headings = [
        f"{column.group}:<br>{column.heading}" if titled else column.heading
        for column in table.columns
    ]
    lines = [
        _plain(table.caption),
        "",
        _pipes([_plain(table.stub), *map(_plain_heading, headings)]),
        _pipes(["---", *(":---:" for _ in table.columns)]),
        *(line for group, rows in table.row_groups() for line in _markdown_rows(group, rows)),
        "",
        *(f"{_superscript(note)}{_plain(note.text)}  " for note in table.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_rows(group: str, rows: Sequence[Row]) -> Iterator[str]:
    if group:
        yield _pipes([f"*{_plain(group)}*", *("" for _ in rows[0].cells)])
    for row in rows:
        yield _pipes([_plain(row.heading), *map(_markdown_cell, row.cells)])


def _pipes(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain_heading(text: str) -> str:
    return "<br>".join(map(_plain, text.split("<br>")))


def _plain(text: str) -> str:
    """Text that Markdown prints as it is."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|#" else c for c in text.replace("\n", " "))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown_cell(cell: Cell) -> str:
    delta = f" ({_plain(cell.delta)})" if cell.delta else ""
    return _MARKDOWN_STYLES[cell.rank].format(_plain(cell.text)) + delta + _marks(cell.marks)


# ------------------------------------------------------------------------------------------ HTML
def html(tables: Sequence[Table]) -> str:
    """One page with all tables, in UTF-8, self-contained."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8"><title>anonbench results</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_CSS}</style></head>",
            "<body>",
            *(line for table in tables for line in _section(table)),
            "</body>",
            "</html>\n",
        ]
    )


def _section(table: Table) -> Iterator[str]:
    yield f'<section id="{escape(table.name)}">'
    yield f"<h2>{escape(table.name)}</h2>"
    yield f"<table><caption>{escape(table.caption)}</caption>"
    yield "<thead>"
    if table.spans():
        groups = (
            f'<th scope="colgroup" colspan="{width}">{escape(title)}</th>'
            for title, width in table.spans()
        )
        yield f"<tr><td></td>{''.join(groups)}</tr>"
    headings = (f'<th scope="col">{escape(column.heading)}</th>' for column in table.columns)
    yield f'<tr><th scope="col">{escape(table.stub)}</th>{"".join(headings)}</tr>'
    yield "</thead>"
    for group, rows in table.row_groups():
        yield "<tbody>"
        if group:
            width = len(table.columns) + 1
            yield f'<tr><th scope="rowgroup" colspan="{width}">{escape(group)}</th></tr>'
        yield from map(_html_row, rows)
        yield "</tbody>"
    yield "</table>"
    yield from (f"<small>{_superscript(n)}{escape(n.text)}</small>" for n in table.notes)
    yield "</section>"


def _html_row(row: Row) -> str:
    kind = ' class="reference"' if row.reference and not row.group else ""
    cells = "".join(map(_html_cell, row.cells))
    return f'<tr{kind}><th scope="row">{escape(row.heading)}</th>{cells}</tr>'


def _html_cell(cell: Cell) -> str:
    delta = f" <span class=delta>{escape(cell.delta)}</span>" if cell.delta else ""
    return (
        f"<td>{_HTML_STYLES[cell.rank].format(escape(cell.text))}{delta}{_marks(cell.marks)}</td>"
    )


def _superscript(note: Note) -> str:
    return f"{_marks((note.mark,))} " if note.mark else ""


def _marks(marks: Sequence[str]) -> str:
    return f"<sup>{','.join(marks)}</sup>" if marks else ""
