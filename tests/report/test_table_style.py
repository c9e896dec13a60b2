"""Differences to published values, spreads, ties, transposed tables: the model and its print."""

from typing import Any

import pytest
from result_factory import make_method, make_metric, make_result

from anonbench.report import paper_layout
from anonbench.report.cells import Style
from anonbench.report.latex import latex
from anonbench.report.markup import html, markdown
from anonbench.report.model import Table, overlapping
from anonbench.report.tables import build, plan_layout
from anonbench.report.terminal import text
from anonbench.results.published import table
from anonbench.results.record import DatasetRef, Interval, Metric, PluginRef, Result

LFW = DatasetRef(name="lfw", version=1, title="LFW", manifest="b" * 64, files=13233)
FACENET = "facenet-vggface2"  # G²Face prints for it 0.010 ± 0.003, the original 0.986 ± 0.010
METHOD = "bootstrap over identities"


def tar(value: float, low: float, high: float, judge: str = FACENET, **changes: Any) -> Metric:
    interval = Interval(low=low, high=high, method=METHOD)
    return make_metric(value, judge, intervals=(interval,), **changes)


def run(method: str, *metrics: Metric, **changes: Any) -> Result:
    return make_result(make_method(method), metrics, **{"dataset": LFW, **changes})


def tables_of(*results: Result, **style: Any) -> list[Table]:
    """In the paper's layout and in the general one."""
    layout = plan_layout(results, "lfw-tar")
    chosen = Style(**style)
    return [
        paper_layout.build(results, table("g2face-table-1"), style=chosen),
        build(results, layout, chosen),
    ]


def row(printed: Table, label: str) -> Any:
    """The measured row with this label, whichever table it is of."""
    return [row for row in printed.rows if row.label.lower() == label][-1]


# ------------------------------------------------------------------------------------ differences
@pytest.mark.parametrize("which", [0, 1])
def test_delta_is_the_printed_number_minus_the_published_one(which: int) -> None:
    results = (run("fit", tar(0.0246, 0.0, 0.1)), run("g2face", tar(0.0101, 0.0, 0.1)))
    plain = tables_of(*results)[which]
    printed = tables_of(*results, delta=True)[which]
    first = printed.columns.index(next(c for c in printed.columns if "acenet" in c.title.lower()))
    assert row(printed, "fit").cells[first].delta == "Δ -0.006"  # 0.025 - 0.031
    assert row(printed, "g²face" if which == 0 else "g2face").cells[first].delta == "Δ +0.000"
    assert "Δ is the number measured here minus" in printed.caption
    assert "Δ" not in plain.caption + "".join(c.delta for r in plain.rows for c in r.cells)


def test_delta_of_other_data_is_marked_and_of_another_judge_not_there() -> None:
    orl = DatasetRef(name="orl", version=1, title="ORL", manifest="a" * 64, files=400)
    (printed, _) = tables_of(
        run("fit", tar(0.5, 0, 1), tar(0.6, 0, 1, "mine"), dataset=orl), delta=True
    )
    cells = {
        column.title: c
        for column, c in zip(printed.columns, row(printed, "fit").cells, strict=True)
    }
    (mark,) = cells["FaceNet (VGGFace2)"].marks
    assert next(n.text for n in printed.notes if n.mark == mark).startswith(
        "Δ to a number on other data"
    )
    assert cells["FaceNet (VGGFace2)"].delta == "Δ +0.469"
    assert cells["TAR, Mine"].delta == ""


def test_no_delta_where_the_paper_has_several_variants_or_nothing() -> None:
    result = run(
        "g2face",
        make_metric(25.0, "inception-fid", name="fid"),
        protocol=PluginRef(name="ablation", version=1),
    )
    printed = paper_layout.build([result], table("g2face-table-6"), style=Style(delta=True))
    assert [c.text for c in printed.rows[-1].cells][2] == "25.0000 ± 0.0100"
    assert all(cell.delta == "" for r in printed.rows for cell in r.cells)
    (printed, _) = tables_of(run("blur", tar(0.5, 0, 1)), delta=True)
    assert all(cell.delta == "" for r in printed.rows for cell in r.cells)


def test_delta_in_every_format_stands_outside_what_is_bold() -> None:
    results = (run("fit", tar(0.02, 0.0, 0.1)), run("riddle", tar(0.9, 0.8, 1.0)))
    (printed, _) = tables_of(*results, delta=True)
    assert r"\textbf{0.020 $\pm$ 0.010}~{\scriptsize $\Delta$ $-$0.011}" in latex(printed)
    assert "**0.020 ± 0.010** (Δ -0.011)" in markdown(printed)
    assert "<strong>0.020 ± 0.010</strong> <span class=delta>Δ -0.011</span>" in html([printed])
    assert "*0.020 ± 0.010* Δ -0.011" in text(printed, width=None, styled=False)


# ---------------------------------------------------------------------------------- spreads, ties
@pytest.mark.parametrize(
    ("spread", "expected", "said"),
    [
        ("std", "0.200 ± 0.010", "± is the standard deviation over folds, population."),
        ("ci", "0.200 [0.100, 0.300]", f"Brackets hold the 95 % confidence interval by {METHOD}."),
        ("none", "0.200", ""),
    ],
)
def test_spread_is_printed_as_chosen_and_named_in_the_caption(
    spread: str, expected: str, said: str
) -> None:
    for printed in tables_of(run("blur", tar(0.2, 0.1, 0.3)), spread=spread):
        assert expected in [cell.text for cell in row(printed, "blur").cells]
        assert said in printed.caption
        assert ("±" in printed.caption) == (spread == "std")


def test_published_numbers_keep_the_spread_of_their_paper_unless_none_is_wanted() -> None:
    for spread, expected in (("ci", "0.010 ± 0.003"), ("none", "0.010")):
        (printed, _) = tables_of(run("blur", tar(0.2, 0.1, 0.3)), spread=spread)
        published = next(row for row in printed.rows if row.label == "G²Face")
        assert published.cells[0].text == expected


def test_overlapping_intervals_tie_only_when_asked() -> None:
    results = (
        run("a", tar(0.10, 0.05, 0.15)),
        run("b", tar(0.14, 0.12, 0.20)),
        run("c", tar(0.18, 0.16, 0.22)),
        run("d", tar(0.19, 0.17, 0.23)),
        run("e", tar(0.90, 0.80, 0.95)),
    )
    for ties, expected in (("printed", [1, 2, 0, 0, 0]), ("ci", [1, 1, 2, 2, 0])):
        for printed in tables_of(*results, ties=ties):
            assert [max(c.rank for c in row(printed, m).cells) for m in "abcde"] == expected
            assert ("overlapping" in printed.caption) == (ties == "ci")
            assert (METHOD in printed.caption) == (ties == "ci")


@pytest.mark.parametrize(
    ("intervals", "direction", "expected"),
    [
        ([(1, 0, 2), (2, 2, 3), (4, 3.5, 5)], "lower", [1, 1, 2]),
        ([(1, 0, 2), (2, 2, 3), (4, 3.5, 5)], "higher", [2, 2, 1]),
        ([(1, 1, 1), None, (1, 1, 1), (2, 2, 2)], "lower", [1, 0, 1, 2]),
        ([(1, 0, 9), (2, 0, 9)], "none", [0, 0]),
        ([(1, 0, 9), None], "lower", [0, 0]),
        ([], "lower", []),
    ],
)
def test_ranks_by_intervals(intervals: Any, direction: Any, expected: list[int]) -> None:
    assert overlapping(intervals, direction) == expected


# ------------------------------------------------------------------------------------- transposed
def utility(method: str, rate: float, distance: float) -> Result:
    metrics = (
        make_metric(rate, "mtcnn", name="detection-rate", direction="higher", white_box=True),
        make_metric(distance, "mtcnn", name="box-distance"),
    )
    protocol = PluginRef(name="utility", version=1)
    return run(method, *metrics, protocol=protocol)


def test_methods_are_columns_where_the_paper_has_them_so() -> None:
    results = [utility("fit", 0.9, 3.0), utility("blur", 0.5, 9.0), utility("identity", 1.0, 0.0)]
    printed = paper_layout.build(results, table("g2face-table-3"))
    assert printed.stub == "Metric"
    assert [c.heading for c in printed.columns] == [
        "CIAGAN", "FIT", "RiDDLE", "FALCO", "G²Face", "FIT", "Identity", "Blur",
    ]  # fmt: skip
    assert [width for _, width in printed.spans()] == [5, 3]
    detection = printed.rows[1]
    assert detection.heading == "Face Detection MTCNN ↑"
    assert [c.text for c in detection.cells[-3:]] == [
        "0.9000 ± 0.0100", "1.0000 ± 0.0100", "0.5000 ± 0.0100",
    ]  # fmt: skip
    assert [c.rank for c in detection.cells] == [0, 0, 1, 2, 0, 1, 0, 2], "ranked along the row"
    assert detection.cells[-1].marks == ("†",)
    assert "within each group of columns" in printed.caption
    assert printed.transposed().transposed() == printed
    for rendered in (
        latex(printed).replace(r"$\uparrow$", "↑"), markdown(printed), html([printed]),
        text(printed, width=None, styled=False),
    ):  # fmt: skip
        assert "Face Detection MTCNN ↑" in rendered
