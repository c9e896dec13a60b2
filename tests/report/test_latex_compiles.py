"""Every table in LaTeX, compiled: nothing overflows a page and no character is missing.

Compiled in two shapes: one column of 345 pt, and two of 252 pt as in the journals of both papers.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest
from result_factory import make_method, make_metric, make_result

from anonbench.report import paper_layout, tables
from anonbench.report.cells import Style
from anonbench.report.latex import escape, latex
from anonbench.report.model import ABSENT, Cell, Column, Note, Row, Table
from anonbench.results import published, store
from anonbench.results.record import Result

BASELINES = Path(__file__).parents[2] / "results" / "baselines"
FULLEST = Style(spread="ci", ties="ci", delta=True)
ONE_COLUMN = r"\documentclass{article}"
TWO_COLUMNS = (
    r"\documentclass[twocolumn]{article}"
    r"\usepackage[letterpaper,margin=48pt,columnsep=12pt]{geometry}"
)
WRONG = re.compile(
    r"^(?:Overfull|Missing character|!|LaTeX Warning: (?:Float too large|Reference)).*",
    re.MULTILINE,
)

Compile = Callable[[str, str], str]


@pytest.fixture
def pdf(tmp_path: Path) -> Compile:
    """Compiles a document and gives what is wrong with it according to TeX."""
    if shutil.which("pdflatex") is None or subprocess.call(
        ["kpsewhich", "booktabs.sty"], stdout=subprocess.DEVNULL
    ):
        pytest.skip("no pdflatex with booktabs: apt-get install texlive-latex-recommended")

    def run(shape: str, body: str) -> str:
        packages = r"\usepackage{booktabs,graphicx}"
        source = f"{shape}{packages}\\begin{{document}}\n{body}\n\\end{{document}}\n"
        (tmp_path / "t.tex").write_text(source, encoding="utf-8")
        for _ in range(2):  # the second time references are known
            subprocess.run(
                ["pdflatex", "-interaction=nonstopmode", "t.tex"],
                cwd=tmp_path,
                capture_output=True,
                check=False,
            )
        assert (tmp_path / "t.pdf").is_file()
        log = (tmp_path / "t.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(WRONG.findall(log))

    return run


@pytest.fixture(scope="module")
def baselines() -> list[Result]:
    return store.load_folder(BASELINES, lambda error: pytest.fail(str(error)))


def all_tables(results: list[Result], style: Style) -> Iterator[Table]:
    for paper in published.tables().values():
        yield paper_layout.build(results, paper, style=style)
    by_protocol = sorted(results, key=lambda result: result.protocol.name)
    for name, group in groupby(by_protocol, key=lambda result: result.protocol.name):
        of_one = list(group)
        yield tables.build(of_one, tables.plan_layout(of_one, name), style)


def document(found: Iterator[Table]) -> str:
    return "\\clearpage\n".join(map(latex, found))


@pytest.mark.parametrize("shape", [ONE_COLUMN, TWO_COLUMNS], ids=["one", "two"])
@pytest.mark.parametrize("style", [Style(), FULLEST], ids=["plain", "fullest"])
def test_every_table_over_all_baselines_fits_its_page(
    pdf: Compile, baselines: list[Result], shape: str, style: Style
) -> None:
    assert pdf(shape, document(all_tables(baselines, style))) == ""


def test_no_note_and_no_cell_is_lost_between_the_parts(baselines: list[Result]) -> None:
    for table in all_tables(baselines, Style()):
        source = latex(table)
        for note in table.notes:
            times = source.count(f"{escape(note.text)}\\par")
            if note.mark == ABSENT:  # of parts in which something is absent
                assert bool(times) == bool(re.search(r"& --( |$)", source, re.MULTILINE))
            else:
                assert times >= 1 if note.mark else times == 1, (table.name, note)
        numbers = sum(cell.text[0].isdigit() for row in table.rows for cell in row.cells)
        assert len(re.findall(r"(?:& |\{)\d+\.\d+(?: \$\\pm\$ \d+\.\d+)?", source)) == numbers


def test_what_overflows_is_found(pdf: Compile) -> None:
    tall = r"\begin{table}" + r"\rule{1pt}{2\textheight}" + r"\end{table}"
    for broken in (r"\noindent\rule{2\textwidth}{1pt}", tall, r"\undefined", "\x7f\\char200"):
        assert pdf(ONE_COLUMN, broken) != ""


def test_every_character_of_a_name_prints(pdf: Compile) -> None:
    letters = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x180)]))
    signs = "² ³ ¹ Δ ≤ ≥ ≠ ≈ → ← ± × · ° µ μ σ ∞ † – — − “ ” ‘ ’ … « » ↓ ↑ ₂ ﬁ 顔 🙂"
    assert pdf(ONE_COLUMN, " ".join(map(escape, letters + signs))) == ""
    assert escape("H₂O ą đ 顔") == "H2O a [U+0111] [U+9854]"


def test_names_of_any_length_and_any_number_of_notes_fit(pdf: Compile) -> None:
    result = make_result(
        make_method("long", "A method_with " + "a long & winding title " * 6),
        (make_metric(0.5), make_metric(None, "other", reason="because of 100 % " * 30)),
    )
    many = [make_result(f"m{n}", warnings=("warned " * 60 + str(n),)) for n in range(90)]
    layout = tables.plan_layout([result, *many], "lfw-tar")
    table = tables.build([result, *many], layout)
    for shape in (ONE_COLUMN, TWO_COLUMNS):
        assert pdf(shape, latex(table)) == ""


def tall(rows: int, columns: int) -> Table:
    return Table(
        name="tall",
        caption="Numbers.",
        columns=tuple(
            Column(f"column {n}", "one" if n < 4 else "other", "none") for n in range(columns)
        ),
        rows=tuple(
            Row(
                f"row {n}",
                False,
                tuple(Cell(f"{n}.{m:04}", 0, ("a",) if n == 0 else ()) for m in range(columns)),
            )
            for n in range(rows)
        ),
        notes=(Note("about the first", "a"), Note("about all")),
    )


def test_a_tall_table_comes_in_parts_with_repeated_headings_and_every_cell_once() -> None:
    source = latex(tall(100, 3))
    parts = source.split(r"\end{table}")[:-1]
    assert len(parts) == 3
    assert r"\caption[{tall: Numbers.}]{Numbers.}" in parts[0]
    for number, part in enumerate(parts, start=1):
        assert r"column 0 & column 1 & column 2 \\" in part
        assert (rf"(continued, {number} of 3)" in part) == (number > 1)
        assert (r"\addtocounter{table}{-1}" in part) == (number > 1)
    assert source.count(r"\label{tab:tall}") == 1
    assert re.findall(r"(\d+)\.0001", source) == [str(n) for n in range(100)]
    assert "about the first" in parts[0]
    assert "about the first" not in parts[1] + parts[2]
    assert source.count("about all") == 1


def test_a_wide_table_is_cut_between_groups_of_columns_which_keep_their_headings() -> None:
    source = latex(tall(3, 14))
    first, second = source.split(r"\end{table*}")[:2]
    assert r"\multicolumn{4}{c}{one}" in first
    assert r"\multicolumn{10}{c}{other}" in second
    assert sorted(re.findall(r"\d\.\d{4}", source)) == [
        f"{n}.{m:04}" for n in range(3) for m in range(14)
    ]
