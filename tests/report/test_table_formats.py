"""The same table in every format."""

import csv
import re
from html.parser import HTMLParser
from io import StringIO

from result_factory import make_method, make_metric, make_result

from anonbench.report.latex import escape, latex
from anonbench.report.long import csv_text
from anonbench.report.markup import html, markdown
from anonbench.report.model import Cell, Column, Note, Row, Table
from anonbench.report.sheet import sheet
from anonbench.report.tables import build, plan_layout
from anonbench.report.terminal import text
from anonbench.results.published import published
from anonbench.results.record import Result

SMALL = Table(
    name="lfw-tar",
    caption="TAR on a_b&c%.",
    columns=(
        Column("FaceNet (VGGFace2)", "measured on ORL", "lower"),
        Column("ArcFace", "published: G²Face", "higher"),
    ),
    rows=(
        Row("Original", True, (Cell("0.986 ± 0.010"), Cell())),
        Row("a_b&c%", False, (Cell("0.010 ± 0.003", 1), Cell("0.9", 2, ("†", "a")))),
        Row("<G²Face>", False, (Cell("n/a", 0, ("b",)), Cell("0.95 ± 0.01", 1))),
    ),
    notes=(Note("partial", "a"), Note("no | key", "b"), Note("white box", "†"), Note("100 % PNG")),
)

SMALL_LATEX = r"""% needs \usepackage{booktabs,graphicx}
\begin{table}[t]
  \centering
  \caption[{lfw-tar: TAR on a\_b\&c\%.}]{TAR on a\_b\&c\%.}
  \label{tab:lfw-tar}
  \smallskip
  \sbox0{%
  \begin{tabular}{lcc}
    \toprule
     & \multicolumn{1}{c}{measured on ORL} & \multicolumn{1}{c}{published: G$^2$Face} \\
    \cmidrule(lr){2-2} \cmidrule(lr){3-3}\addlinespace[2pt]
    Method & \shortstack{FaceNet\\(VGGFace2) $\downarrow$} & ArcFace $\uparrow$ \\
    \midrule
    Original & 0.986 $\pm$ 0.010 & -- \\
    \midrule
    a\_b\&c\% & \textbf{0.010 $\pm$ 0.003} & \underline{0.9}$^{\dagger,\mathrm{a}}$ \\
    \textless{}G$^2$Face\textgreater{} & n/a$^{\mathrm{b}}$ & \textbf{0.95 $\pm$ 0.01} \\
    \bottomrule
  \end{tabular}%
  }\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi

  \smallskip
  \begin{minipage}{\linewidth}\footnotesize\raggedright
    $^{\mathrm{a}}$~partial\par
    $^{\mathrm{b}}$~no \textbar{} key\par
    $^{\dagger}$~white box\par
    100 \% PNG\par
  \end{minipage}
\end{table}
"""


def real_table() -> Table:
    """Everything at once: reference, tie, escapes, n/a, white box, published values."""
    results: list[Result] = [
        make_result(make_method("identity", "Original"), (make_metric(0.956),)),
        make_result(make_method("a_b&c%", 'a_b&c% #$~^\\{}|<"²×'), (make_metric(0.1),)),
        make_result("blur", (make_metric(0.1, white_box=True),)),
        make_result("rec", (make_metric(None, reason="needs 100 % of the_key"),)),
    ]
    return build(results, plan_layout(results, "lfw-tar"))


def test_latex_of_a_small_table_is_exactly_this() -> None:
    assert latex(SMALL) == SMALL_LATEX


def test_latex_without_groups_has_no_group_line() -> None:
    one = Table("t", "c", SMALL.columns[:1], (Row("A", False, (Cell("1"),)),), ())
    assert latex(one).splitlines()[7:-2] == [
        r"  \begin{tabular}{lc}",
        r"    \toprule",
        r"    Method & \shortstack{FaceNet\\(VGGFace2) $\downarrow$} \\",
        r"    \midrule",
        r"    A & 1 \\",
        r"    \bottomrule",
        r"  \end{tabular}%",
    ]


def test_latex_escapes_every_special_character() -> None:
    plain = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]", "", escape("a&b%c$d#e_f{g}h~i^j\\k<l>m|n\no"))
    assert plain == "abcdefghijklmn o"


def test_markdown_of_a_small_table_is_exactly_this() -> None:
    assert markdown(SMALL) == (
        "TAR on a\\_b&amp;c%.\n"
        "\n"
        "| Method | measured on ORL:<br>FaceNet (VGGFace2) ↓ | published: G²Face:<br>ArcFace ↑ |\n"
        "| --- | :---: | :---: |\n"
        "| Original | 0.986 ± 0.010 | – |\n"
        "| a\\_b&amp;c% | **0.010 ± 0.003** | <u>0.9</u><sup>†,a</sup> |\n"
        "| &lt;G²Face&gt; | n/a<sup>b</sup> | **0.95 ± 0.01** |\n"
        "\n"
        "<sup>a</sup> partial  \n"
        "<sup>b</sup> no \\| key  \n"
        "<sup>†</sup> white box  \n"
        "100 % PNG\n"
    )


class Page(HTMLParser):
    """Collects cells, and everything through which a page could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "srcset")]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.cells[-1] += data


def test_html_is_well_formed_self_contained_and_shows_text_as_it_is() -> None:
    source = html([SMALL, real_table()])
    page = Page()
    page.feed(source)
    assert page.open == []
    assert page.loads == []
    assert "url(" not in source
    assert "@import" not in source
    assert page.cells[:6] == [
        "", "measured on ORL", "published: G²Face", "Method", "FaceNet (VGGFace2) ↓", "ArcFace ↑",
    ]  # fmt: skip
    assert page.cells[9:15] == [
        "a_b&c%", "0.010 ± 0.003", "0.9†,a", "<G²Face>", "n/ab", "0.95 ± 0.01",
    ]  # fmt: skip
    assert "<strong>0.010 ± 0.003</strong>" in source


def test_text_for_a_pipe_shows_ranks_by_signs_and_does_not_wrap_cells() -> None:
    lines = text(SMALL, width=None, styled=False).splitlines()
    row = next(line for line in lines if "a_b&c%" in line)
    assert row.split() == ["a_b&c%", "*0.010", "±", "0.003*", "_0.9_", "†,a"]
    assert "\x1b" not in "".join(lines)
    assert "b no | key" in lines


def test_text_for_a_terminal_shows_ranks_by_style() -> None:
    styled = text(SMALL, width=100, styled=True)
    assert "\x1b[1m0.010 ± 0.003\x1b[0m" in styled
    assert "\x1b[4m0.9\x1b[0m" in styled


def test_csv_as_printed_has_every_cell_in_its_place() -> None:
    lines = list(csv.reader(StringIO(sheet([SMALL, SMALL]))))
    assert lines[:6] == [
        ["TAR on a_b&c%."],
        ["", "Method", "measured on ORL: FaceNet (VGGFace2) ↓", "published: G²Face: ArcFace ↑"],
        ["", "Original", "0.986 ± 0.010", "–"],
        ["", "a_b&c%", "0.010 ± 0.003 (best)", "0.9 (second) †,a"],
        ["", "<G²Face>", "n/a b", "0.95 ± 0.01 (best)"],
        ["a partial"],
    ]
    assert lines[8:11] == [["100 % PNG"], [], lines[0]]


def test_csv_has_every_metric_with_its_conditions_and_no_number_of_a_failed_run() -> None:
    results = [
        make_result("blur", (make_metric(0.1), make_metric(0.9, name="auc"))),
        make_result("bad", (make_metric(0.5),), status="failed", error="disk, full"),
    ]
    values = [value for value in published() if value.table == "g2face-table-1"]
    lines = list(csv.DictReader(StringIO(csv_text(results, values))))
    assert len(lines) == 2 + 1 + 28
    assert [line["metric.value"] for line in lines[:4]] == ["0.1", "0.9", "", "0.986"]
    first = lines[0]
    for column, value in {
        "source": "measured", "status": "complete", "method.name": "blur", "setup.seed": "0",
        "setup.channel": "png", "judge.training_data": "faces", "counts.used": "6000",
        "metric.direction": "lower", "metric.detail": '{"far": 0.0012}',
        "environment.packages": '{"torch": "2.14"}', "dataset.manifest": "a" * 64,
    }.items():  # fmt: skip
        assert first[column] == value
    assert lines[2]["error"] == "disk, full"
    assert lines[3]["source"] == "published: G²Face (TIFS 2024), Table I"
