"""What stands where in a table, whatever its format."""

from datetime import UTC, datetime
from typing import Any

import pytest
from result_factory import make_method, make_metric, make_result

from anonbench.cards import ConfigValue
from anonbench.errors import BadConfig
from anonbench.report.model import Name, Table, labels, ranks
from anonbench.report.tables import build, plan_layout
from anonbench.results.record import Counts, Metric, PluginRef, Remark, Result, Setup

ORIGINAL = make_result(make_method("identity", "Original"), (make_metric(0.956),))


def table_of(*results: Result, **options: Any) -> Table:
    options = {"show_published": False, **options}
    return build(results, plan_layout(results, "lfw-tar", **options))


def result(value: float, method: str = "blur", **changes: Any) -> Result:
    return make_result(method, (make_metric(value),), **changes)


def column(table: Table, at: int = 0) -> dict[str, tuple[str, int]]:
    return {row.label: (row.cells[at].text, row.cells[at].rank) for row in table.rows}


def setup(**changes: Any) -> Setup:
    detector = PluginRef(name="dlib-hog", version=1)
    return Setup(**{"seed": 0, "detector": detector, "templates": {"ffhq-256": 1}, **changes})


# --------------------------------------------------------------------------------------- ranking
@pytest.mark.parametrize(
    ("printed", "direction", "expected"),
    [
        ([0.3, 0.1, 0.2], "lower", [0, 1, 2]),
        ([0.3, 0.1, 0.2], "higher", [1, 0, 2]),
        ([0.1, 0.1, 0.2, 0.2, 0.3], "lower", [1, 1, 2, 2, 0]),
        ([0.1, None, 0.2], "lower", [1, 0, 2]),
        ([0.1, 0.2], "none", [0, 0]),
        ([0.1, None], "lower", [0, 0]),
        ([], "lower", []),
    ],
)
def test_ranks(printed: list[float | None], direction: Any, expected: list[int]) -> None:
    assert ranks(printed, direction) == expected


def test_values_that_print_alike_tie() -> None:
    table = table_of(result(0.1001, "a"), result(0.1004, "b"), result(0.1006, "c"))
    assert column(table) == {
        "A": ("0.100 ± 0.010", 1),
        "B": ("0.100 ± 0.010", 1),
        "C": ("0.101 ± 0.010", 2),
    }


def test_digits_decide_what_ties() -> None:
    table = table_of(result(0.1001, "a"), result(0.1004, "b"), digits=4)
    assert column(table) == {"A": ("0.1001 ± 0.0100", 1), "B": ("0.1004 ± 0.0100", 2)}


def test_the_original_comes_first_and_is_not_ranked() -> None:
    table = table_of(result(0.99, "a"), ORIGINAL, result(0.98, "b"))
    assert [(row.label, row.reference) for row in table.rows] == [
        ("Original", True), ("A", False), ("B", False),
    ]  # fmt: skip
    assert [row.cells[0].rank for row in table.rows] == [0, 2, 1]


def test_partial_result_is_marked_and_not_ranked() -> None:
    counts = {"dlib-resnet": Counts(unit="pairs", expected=6000, used=5990, failed={"bad": 10})}
    table = table_of(
        result(0.1, "a"), result(0.2, "b"), result(0.01, "c", status="partial", counts=counts)
    )
    assert [row.cells[0].rank for row in table.rows] == [1, 2, 0]
    assert table.rows[2].cells[0].marks == ("a",)
    assert table.notes[0].text == "partial result, 5990 of 6000 pairs used; not ranked"


def test_failed_result_gives_no_number_but_its_error() -> None:
    failed = make_result("b", (make_metric(0.01),), status="failed", error="disk full")
    table = table_of(result(0.1, "a"), failed)
    assert column(table)["B"] == ("failed", 0)
    assert table.notes[0].text == "failed: disk full"


def test_na_has_its_reason_once_for_all_cells_with_it() -> None:
    missing = [make_metric(None, judge, reason="not reversible") for judge in ("j1", "j2")]
    table = table_of(make_result("a", tuple(missing)))
    assert [(c.text, c.marks) for c in table.rows[0].cells] == [("n/a", ("a",)), ("n/a", ("a",))]
    assert [n.text for n in table.notes if n.mark == "a"] == ["not reversible"]


def test_white_box_cells_carry_a_dagger() -> None:
    table = table_of(make_result("a", (make_metric(0.1, white_box=True),)))
    assert table.rows[0].cells[0].marks == ("†",)
    assert any(note.mark == "†" and "White box" in note.text for note in table.notes)


# --------------------------------------------------------------------------------- comparability
@pytest.mark.parametrize(
    "changes",
    [
        {"setup": setup(channel="jpeg:75")},
        {"setup": setup(presentation="paste")},
        {"setup": setup(limit=100)},
        {"setup": setup(detector=PluginRef(name="mtcnn", version=1))},
        {"suite": "paper"},
        {"protocol": PluginRef(name="lfw-tar", version=2)},
        {"protocol": PluginRef(name="lfw-tar", version=1, config={"rule": "pooled"})},
        {"dataset": ORIGINAL.dataset.model_copy(update={"manifest": "b" * 64})},
        {"dataset": ORIGINAL.dataset.model_copy(update={"title": "LFW"})},
        {"judges": (ORIGINAL.judges[0].model_copy(update={"weights": {"w": "c" * 64}}),)},
        {"judges": (ORIGINAL.judges[0].model_copy(update={"version": 2}),)},
        {"environment": ORIGINAL.environment.model_copy(update={"precision": "float16"})},
    ],
)
def test_numbers_under_other_conditions_never_share_a_column(changes: dict[str, Any]) -> None:
    table = table_of(result(0.1, "a"), result(0.2, "b", **changes))
    assert len(table.columns) == 2
    assert len({(c.group, c.title) for c in table.columns}) == 2, "the headings tell them apart"
    assert all(cell.rank == 0 for row in table.rows for cell in row.cells)


def test_the_heading_names_what_differs_and_the_caption_what_is_shared() -> None:
    table = table_of(result(0.1), result(0.2, setup=setup(channel="jpeg:75")))
    assert [c.group for c in table.columns] == [
        "measured on ORL (channel jpeg:75)",
        "measured on ORL (channel png)",
    ]
    assert len(table.rows) == 1
    assert "channel" not in table.caption
    assert "rule facenet" in table.caption


def test_seeds_of_one_method_are_separate_rows() -> None:
    table = table_of(result(0.1, seed=0), result(0.2, seed=1))
    assert [row.label for row in table.rows] == ["Blur (seed 0)", "Blur (seed 1)"]
    assert "seed 0, 1." in table.caption


def test_configurations_of_one_method_are_separate_rows() -> None:
    def pixelate(block: ConfigValue) -> Result:
        config = {"block": block, "region": "crop"}
        return make_result(make_method("pixelate", config=config), (make_metric(0.1),))

    labels_ = [row.label for row in table_of(pixelate(8), pixelate(16)).rows]
    assert labels_ == ["Pixelate (block 16)", "Pixelate (block 8)"]


def test_of_two_results_for_one_cell_the_newest_is_shown_and_the_other_mentioned() -> None:
    later = result(0.2, created=datetime(2027, 1, 1, tzinfo=UTC))
    table = table_of(later, result(0.1))
    assert column(table) == {"Blur": ("0.200 ± 0.010", 0)}
    assert any("left out: 1" in note.text for note in table.notes)


def test_runs_with_different_judges_fill_one_row_and_none_is_left_out() -> None:
    both = make_result("a", (make_metric(0.1, "j1"), make_metric(0.2, "j2")))
    again = make_result("a", (make_metric(0.3, "j2"),), created=datetime(2027, 1, 1, tzinfo=UTC))
    table = table_of(again, both)
    cells = {c.title: cell.text for c, cell in zip(table.columns, table.rows[0].cells, strict=True)}
    assert cells == {"J1": "0.100 ± 0.010", "J2": "0.300 ± 0.010"}
    assert len(table.rows) == 1
    assert not any("left out" in note.text for note in table.notes)


# ---------------------------------------------------------------------------- caption and remarks
def test_caption_names_all_that_a_reader_of_the_number_needs() -> None:
    caption = table_of(result(0.1)).caption
    for fact in (
        "TAR on ORL", "lfw-tar v1", "rule facenet", "far 0.001", "suite demo", "channel png",
        "seed 0", "standard deviation over folds, population", "pairs used 6000",
    ):  # fmt: skip
        assert fact in caption


def test_counts_that_differ_stand_below_per_method_and_judge() -> None:
    def with_counts(method: str, *undetected: int) -> Result:
        judges = ("j1", "j2")
        counts = {
            judge: Counts(unit="pairs", expected=10, used=10, detail={"no face": figure})
            for judge, figure in zip(judges, undetected, strict=True)
        }
        return make_result(method, tuple(make_metric(0.1, j) for j in judges), counts=counts)

    table = table_of(with_counts("a", 4, 5), with_counts("b", 7, 7))
    assert "No face: A 4/5, B 7." in [note.text for note in table.notes]
    assert "pairs expected 10, pairs used 10." in table.caption


def test_warnings_name_the_methods_they_concern() -> None:
    table = table_of(
        result(0.1, "a", warnings=("all alike", "float")), result(0.1, "b", warnings=("all alike",))
    )
    texts = [note.text for note in table.notes]
    assert "all alike" in texts
    assert "A: float" in texts


def test_what_methods_say_stands_in_the_notes() -> None:
    converged = Remark(
        name="converged", says="1 if so", images=3000, mean=0.998, low=1, high=1, min=0, max=1
    )
    cosine = Remark(
        name="cosine", says="of both", images=3000, mean=0.25, low=0.1, high=0.4, min=-0.5, max=0.5
    )
    said = result(0.1, "a", remarks=(converged, cosine))
    texts = [note.text for note in table_of(said, result(0.1, "b")).notes]
    assert "A: converged 99.8% of 3,000 images (1 if so)." in texts
    assert (
        "A: cosine 0.25 on average of 3,000 images, 95 % of them from 0.1 to 0.4 (of both)."
        in texts
    )
    assert not any(text.startswith("B: ") for text in texts)


# ------------------------------------------------------------------------------ published values
def test_published_values_stand_apart_and_are_ranked_apart() -> None:
    table = table_of(ORIGINAL, result(0.5), result(0.6, "pixelate"), show_published=True)
    assert table.spans() == [
        ("measured on ORL", 1),
        ("published: G²Face (TIFS 2024), Table I", 4),
    ]
    assert column(table)["Blur"] == ("0.500 ± 0.010", 1)
    assert column(table, 1)["G²Face"] == ("0.010 ± 0.003", 1)
    assert [column(table, 1)[m][1] for m in ("RiDDLE", "FALCO")] == [2, 2], "a tie as printed"
    assert column(table, 1)["Original"] == ("0.986 ± 0.010", 0), "one row with the measured one"
    assert [row.label for row in table.rows] == [
        "Original", "Blur", "Pixelate", "Gafni", "CIAGAN", "FIT", "RiDDLE", "FALCO", "G²Face",
    ]  # fmt: skip
    assert any("alignment" in note.text for note in table.notes), "the paper's caveats"


def test_published_row_stands_apart_where_a_method_was_measured_in_two_ways() -> None:
    def g2face(seed: int) -> Result:
        return make_result(make_method("g2face", "G²Face"), (make_metric(0.1),), seed=seed)

    rows = [row.label for row in table_of(g2face(0), g2face(1), show_published=True).rows]
    assert rows[-3:] == ["G²Face (published)", "G²Face (seed 0)", "G²Face (seed 1)"]


def test_metrics_are_columns_in_the_order_asked_for() -> None:
    metrics: tuple[Metric, ...] = (
        make_metric(0.1),
        make_metric(0.9, name="auc", std=None),
        make_metric(0.001, name="far", direction="none", std=None),
    )
    table = table_of(make_result("a", metrics), metrics=["far", "tar"])
    assert [c.heading for c in table.columns] == [
        "realised FAR, Dlib-Resnet",
        "TAR, Dlib-Resnet ↓",
    ]
    assert [c.text for c in table.rows[0].cells] == ["0.001", "0.100 ± 0.010"]


def test_unknown_metric_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadConfig, match="There are: tar"):
        table_of(result(0.1), metrics=["tpr"])


def test_labels_show_only_what_tells_namesakes_apart() -> None:
    a = Name("A", (("x", "1"), ("y", "1")))
    b = Name("A", (("x", "1"), ("y", "2")))
    c = Name("C", (("x", "9"),))
    assert labels([a, b, c, a]) == {a: "A (y 1)", b: "A (y 2)", c: "C"}
