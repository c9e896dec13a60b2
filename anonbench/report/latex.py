"""LaTeX in the style of G²Face's Table I: booktabs, best bold, second underlined."""

from collections.abc import Iterator

from anonbench.report.model import Cell, Column, Note, Row, Table

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "±": r"$\pm$",
        "↓": r"$\downarrow$",
        "↑": r"$\uparrow$",
        "×": r"$\times$",
        "²": r"$^2$",
        "†": r"$\dagger$",
        "–": "--",
        "\n": " ",
    }
)
_WIDE = 4
_STYLES = {0: "%s", 1: r"\textbf{%s}", 2: r"\underline{%s}"}


def escape(text: str) -> str:
    """Text in which every character that LaTeX would interpret is written so that it prints."""
    return text.translate(_ESCAPES)


def latex(table: Table) -> str:
    """A `table` environment, or `table*` where it has many columns; needs only booktabs."""
    wide = len(table.columns) > _WIDE
    environment = "table*" if wide else "table"
    small = wide or any(row.group for row in table.rows)
    body = [*_tabular(table), *_notes(table.notes)]
    lines = [
        rf"\begin{{{environment}}}[t]",
        r"  \centering",
        *([r"  \footnotesize\setlength{\tabcolsep}{4pt}"] if small else []),
        rf"  \caption{{{escape(table.caption)}}}",
        rf"  \label{{tab:{table.name}}}",
        *(f"  {line}".rstrip() for line in body),
        rf"\end{{{environment}}}",
    ]
    return "% needs \\usepackage{booktabs}\n" + "\n".join(lines) + "\n"


def _tabular(table: Table) -> Iterator[str]:
    yield rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}"
    yield r"  \toprule"
    if table.spans():
        yield from _group_headings(table)
    yield f"  {_line(escape(table.stub), *(_heading(column) for column in table.columns))}"
    for group, rows in table.row_groups():
        yield r"  \midrule"
        if group:
            width = len(table.columns) + 1
            heading = rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape(group)}}}}}"
            yield f"  {_line(heading)}"
        yield from _group_rows(group, rows)
    yield r"  \bottomrule"
    yield r"\end{tabular}"


def _group_rows(group: str, rows: tuple[Row, ...]) -> Iterator[str]:
    indent = r"\quad " if group else ""
    for row, following in zip(rows, (*rows[1:], None), strict=True):
        yield f"  {_line(indent + escape(row.label), *map(_cell, row.cells))}"
        if not group and _ends_references(row, following):
            yield r"  \midrule"


def _group_headings(table: Table) -> Iterator[str]:
    rules, start = [], 2
    for _, width in table.spans():
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    cells = (rf"\multicolumn{{{width}}}{{c}}{{{escape(title)}}}" for title, width in table.spans())
    yield f"  {_line('', *cells)}"
    yield f"  {' '.join(rules)}\\addlinespace[2pt]"


def _line(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def _heading(column: Column) -> str:
    """The heading, what is in brackets below the rest, as the paper prints it."""
    return _stacked(column.heading) if " (" in column.title else escape(column.heading)


def _stacked(heading: str) -> str:
    first, _, second = heading.partition(" (")
    return rf"\shortstack{{{escape(first)}\\({escape(second)}}}"


def _cell(cell: Cell) -> str:
    marks = f"$^{{{','.join(map(_mark, cell.marks))}}}$" if cell.marks else ""
    return _STYLES[cell.rank] % escape(cell.text) + marks


def _mark(mark: str) -> str:
    return r"\dagger" if mark == "†" else rf"\mathrm{{{mark}}}"


def _ends_references(row: Row, following: Row | None) -> bool:
    return row.reference and following is not None and not following.reference


def _notes(notes: tuple[Note, ...]) -> Iterator[str]:
    if notes:
        yield ""
        yield r"\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize"
        for note in notes:
            mark = f"$^{{{_mark(note.mark)}}}$~" if note.mark not in ("", "–") else ""
            dash = "--: " if note.mark == "–" else ""
            yield rf"  {mark}{dash}{escape(note.text)}\par"
        yield r"\end{minipage}"
