"""LaTeX in the style of G²Face's Table I: booktabs, best bold, second underlined.

A table that is taller or wider than a page becomes several `table` environments under one number.
What is wider than the place it stands in, which depends on the document, is scaled down to it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from unicodedata import combining, normalize

from anonbench.report import pages
from anonbench.report.model import Cell, Column, Note, Row, Table

PACKAGES = "booktabs,graphicx"
"""What a document must load."""

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
        "—": "---",
        "−": "$-$",
        "Δ": r"$\Delta$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "≠": r"$\neq$",
        "≈": r"$\approx$",
        "→": r"$\rightarrow$",
        "←": r"$\leftarrow$",
        "·": r"$\cdot$",
        "°": r"$^\circ$",
        "µ": r"$\mu$",
        "μ": r"$\mu$",
        "σ": r"$\sigma$",
        "¹": "$^1$",
        "³": "$^3$",
        "∞": r"$\infty$",
        "«": r"$\ll$",
        "»": r"$\gg$",
        "“": "``",
        "”": "''",
        "‘": "`",
        "’": "'",
        "…": r"\dots{}",
        "\u00a0": "~",
        "\u2060": "{}",
        "\n": " ",
    }
)
_LATIN = 0x180  # the first code point behind the accented letters that LaTeX knows
_LACKING = "ÐðÞþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ"  # those before it that its default font has not
_STYLES = {0: "%s", 1: r"\textbf{%s}", 2: r"\underline{%s}"}
_LIGATURE = re.compile("-(?=-)")  # of hyphens, which would print as a dash
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")
_NARROW = 56  # characters that fit one column of two, in the type of footnotes
_CAPTION = 48, 84  # characters of a caption's line in one column of two, and across both
_CAPTION_LINE = 1.3  # its height, in lines of the table
_SHORT = 30  # lines of a table that may stand at the top of a page of text
_SENTENCE = re.compile(r".*?\.(?= |$)")


def escape(text: str) -> str:
    """Text in which every character that LaTeX would interpret is written so that it prints.

    Letters with accents stay as they are. A character that LaTeX's own fonts lack is replaced by
    its simpler form where Unicode has one, else by its code point.
    """
    return "".join(map(_printable, _LIGATURE.sub("-\u2060", text)))


def _printable(character: str) -> str:
    if ord(character) in _ESCAPES:
        return _ESCAPES[ord(character)]
    if ord(character) < _LATIN and character not in _LACKING:
        return character
    simple = "".join(c for c in normalize("NFKD", character) if not combining(c))
    return f"[U+{ord(character):04X}]" if simple == character else escape(simple)


def latex(table: Table, placement: str = "") -> str:
    """One `table` environment, or `table*` where it is wide, or several of them.

    Needs `PACKAGES`. Notes on the whole table, and the part of the caption that says how it was
    measured, stand in the last environment, or as text of the document below it where they would
    fill the page.

    Args:
        table: The table.
        placement: Where it stands in a document of one column, such as `H`; by default LaTeX may
            choose the top of a page, or a page of its own where the table is not short.
    """
    table = _with_short_caption(table)
    wide = pages.width(table) > _NARROW
    line = _CAPTION[wide]
    above = _CAPTION_LINE * len(pages.folded(table.caption, line))
    parts = pages.parts(table, above=above)
    apart = [note for note in table.notes if not note.mark]
    left = pages.LINES - pages.height(parts[-1]) - (above if len(parts) == 1 else 0)
    if pages.note_lines(apart, line) <= left:
        last = replace(parts[-1], notes=(*parts[-1].notes, *apart))
        parts, apart = [*parts[:-1], last], []
    blocks = [
        "\n".join(
            _float(part, number, len(parts), placement, titled=bool(table.spans()), wide=wide)
        )
        for number, part in enumerate(parts, start=1)
    ]
    if apart:
        blocks.append("\n".join(_notes_apart(table, apart)))
    return f"% needs \\usepackage{{{PACKAGES}}}\n" + "\n\n".join(blocks) + "\n"


def _with_short_caption(table: Table) -> Table:
    """The table with the rest of its caption as the first of its notes."""
    rest = table.caption.removeprefix(table.lead).strip() if table.lead else ""
    return replace(table, caption=table.lead, notes=(Note(rest), *table.notes)) if rest else table


def _float(
    part: Table, number: int, of: int, placement: str, *, titled: bool, wide: bool
) -> Iterator[str]:
    """One environment; all but the first repeat the number of the first."""
    environment = "table*" if wide and not placement else "table"
    short = of == 1 and pages.height(part) + pages.note_lines(part.notes, pages.WIDTH) < _SHORT
    yield rf"\begin{{{environment}}}[{placement or ('t' if short else 'tp')}]"
    yield r"  \centering"
    if wide or of > 1 or any(row.group for row in part.rows):
        yield r"  \footnotesize\setlength{\tabcolsep}{4pt}"
    if number > 1:
        yield r"  \addtocounter{table}{-1}"
        yield r"  \renewcommand\addcontentsline[3]{}% the list has the first part"
        yield rf"  \caption{{(continued, {number} of {of})}}"
    else:
        yield rf"  \caption[{{{_listed(part)}}}]{{{escape(part.caption)}}}"
        yield rf"  \label{{tab:{part.name}}}"
    yield r"  \smallskip"
    yield r"  \sbox0{%"
    yield from (f"  {line}" for line in _tabular(part, titled=titled))
    yield r"  }\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi"
    yield from (f"  {line}".rstrip() for line in _notes(part.notes))
    yield rf"\end{{{environment}}}"


def _listed(table: Table) -> str:
    """What a list of tables shows: the name and the first sentence."""
    first = _SENTENCE.match(table.caption)
    return escape(f"{table.name}: {first[0] if first else table.caption}")


def _tabular(table: Table, *, titled: bool) -> Iterator[str]:
    yield rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}"
    yield r"  \toprule"
    if titled:
        yield from _group_headings(table)
    yield f"  {_line(escape(table.stub), *(_heading(column) for column in table.columns))}"
    width = len(table.columns) + 1
    for group, rows in table.row_groups():
        yield r"  \midrule"
        for line in pages.folded(group, pages.width(table)) if group else ():
            heading = rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape(line)}}}}}"
            yield f"  {_line(heading)}"
        yield from _group_rows(group, rows)
    yield r"  \bottomrule"
    yield r"\end{tabular}%"


def _group_rows(group: str, rows: tuple[Row, ...]) -> Iterator[str]:
    indent = r"\quad " if group else ""
    for row, following in zip(rows, (*rows[1:], None), strict=True):
        label = _stacked(pages.folded(row.heading, pages.LABEL), "l")
        yield f"  {_line(indent + label, *map(_cell, row.cells))}"
        if not group and _ends_references(row, following):
            yield r"  \midrule"


def _group_headings(table: Table) -> Iterator[str]:
    rules, cells, start = [], [], 2
    for group, columns in groupby(table.columns, key=lambda column: column.group):
        members = list(columns)
        lines = pages.folded(group, pages.span_width(table, members[0]))
        end = start + len(members) - 1
        cells.append(rf"\multicolumn{{{len(members)}}}{{c}}{{{_stacked(lines, 'c')}}}")
        rules.append(rf"\cmidrule(lr){{{start}-{end}}}")
        start = end + 1
    yield f"  {_line('', *cells)}"
    yield f"  {' '.join(rules)}\\addlinespace[2pt]"


def _line(*cells: str) -> str:
    return " & ".join(cells) + r" \\"


def _heading(column: Column) -> str:
    """The heading, what is in brackets below the rest, as the paper prints it."""
    first, bracket, second = column.heading.partition(" (")
    lines = pages.folded(first, pages.HEADING)
    return _stacked([*lines, *(pages.folded(f"({second}", pages.HEADING) if bracket else [])], "c")


def _stacked(lines: Sequence[str], side: str) -> str:
    """Lines below each other, the last one, or the first of a label, beside its neighbours."""
    escaped = r"\\".join(map(escape, lines))
    if len(lines) == 1:
        return escaped
    if side == "l":
        return rf"\begin{{tabular}}[t]{{@{{}}l@{{}}}}{escaped}\end{{tabular}}"
    return rf"\shortstack{{{escaped}}}"


def _cell(cell: Cell) -> str:
    delta = rf"~{{\scriptsize {_number(cell.delta)}}}" if cell.delta else ""
    marks = f"$^{{{','.join(map(_mark, cell.marks))}}}$" if cell.marks else ""
    return _STYLES[cell.rank] % _number(cell.text) + delta + marks


def _number(text: str) -> str:
    """A cell's text, in which a minus is no hyphen."""
    return escape(_MINUS.sub("−", text))


def _mark(mark: str) -> str:
    return r"\dagger" if mark == "†" else rf"\mathrm{{{mark}}}"


def _ends_references(row: Row, following: Row | None) -> bool:
    return row.reference and following is not None and not following.reference


def _notes(notes: Sequence[Note]) -> Iterator[str]:
    if notes:
        yield ""
        yield r"\smallskip"
        yield r"\begin{minipage}{\linewidth}\footnotesize\raggedright"
        yield from map(_note, notes)
        yield r"\end{minipage}"


def _notes_apart(table: Table, notes: Sequence[Note]) -> Iterator[str]:
    """Notes as paragraphs of the text, which a page may break."""
    yield rf"{{\footnotesize\raggedright\noindent Notes on Table~\ref{{tab:{table.name}}}:\par"
    yield from map(_note, notes)
    yield "}"


def _note(note: Note) -> str:
    mark = f"$^{{{_mark(note.mark)}}}$~" if note.mark not in ("", "–") else ""
    dash = "--: " if note.mark == "–" else ""
    return rf"  {mark}{dash}{escape(note.text)}\par"
