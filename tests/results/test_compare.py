"""What is called better, worse, the same or not comparable, and by what."""

from pathlib import Path

import numpy as np
import pytest
from compare_world import BASELINES, PEOPLE, cosines, keep, relabel
from result_factory import make_method, make_metric, make_result
from scipy.stats import bootstrap

from anonbench.errors import StoreError
from anonbench.results import store
from anonbench.results.compare import Cell, Options, compare
from anonbench.results.matching import Stored, read
from anonbench.results.record import DatasetRef, Interval, JudgeRef, PluginRef, Setup


def only(cells: list[Cell]) -> Cell:
    (cell,) = cells
    return cell


@pytest.fixture
def before(tmp_path: Path) -> Stored:
    return keep(tmp_path / "before", cosines())


class TestPaired:
    def test_a_shift_smaller_than_the_intervals_is_seen(self, before, tmp_path):
        after = keep(tmp_path / "after", cosines(shift=0.02, noise=0.03))
        ends = [s.result.metrics[0].intervals[0] for s in (before, after)]
        assert ends[0].high > ends[1].low  # they overlap
        cell = only(compare([before], [after]))
        assert (cell.verdict, cell.by) == ("worse", "paired bootstrap")
        assert cell.low > 0
        assert only(compare([after], [before])).verdict == "better"

    def test_noise_alone_is_the_same(self, before, tmp_path):
        after = keep(tmp_path / "after", cosines(noise=0.03, seed=1))
        cell = only(compare([before], [after]))
        assert (cell.verdict, cell.by) == ("same", "paired bootstrap")
        assert cell.low < 0 < cell.high

    def test_the_interval_is_that_of_scipy_over_people(self, before, tmp_path):
        after = keep(tmp_path / "after", cosines(shift=0.01, noise=0.05))
        cell = only(compare([before], [after], Options(replicates=4000)))
        by_person = (cosines(0.01, 0.05) - cosines()).reshape(PEOPLE, -1).mean(axis=1)
        theirs = bootstrap(
            (by_person,),
            np.mean,
            method="percentile",
            n_resamples=4000,
            rng=np.random.default_rng(0),
        ).confidence_interval
        width = theirs.high - theirs.low
        assert (cell.low, cell.high) == pytest.approx(theirs, abs=0.05 * width)

    def test_seeds_are_taken_together(self, tmp_path):
        first = [keep(tmp_path / "a", cosines(seed=s, noise=0.02), seed=s) for s in (0, 1)]
        second = [keep(tmp_path / "b", cosines(0.03, 0.02, s + 5), seed=s) for s in (0, 1)]
        cell = only(compare(first, second))
        assert (cell.verdict, cell.seeds) == ("worse", (0, 1))
        means = [np.mean([s.result.metrics[0].value for s in side]) for side in (first, second)]
        assert (cell.before, cell.after) == pytest.approx(means)

    def test_many_cells_make_one_harder_to_call(self, tmp_path):
        judges = ("dlib-resnet", "fr-feature")
        values = [cosines(), cosines(shift=0.006, noise=0.025, seed=2)]
        alone = only(compare([keep(tmp_path / "a", values[0])], [keep(tmp_path / "b", values[1])]))
        sides = [[keep(tmp_path / f"{i}", v, judges=judges)] for i, v in enumerate(values)]
        both = compare(*sides)
        assert [cell.p for cell in both] == [alone.p] * 2
        assert [cell.p_holm for cell in both] == pytest.approx([2 * alone.p] * 2)

    def test_a_smaller_block_of_the_baselines_is_worse(self, tmp_path):
        heavy = next((BASELINES / "lfw-tar").glob("pixelate-heavy*.json"))
        light = next((BASELINES / "lfw-tar").glob("pixelate-light*.json"))
        disguised = relabel(tmp_path, light, method=store.load(heavy).method)
        sides = [read(path, pytest.fail) for path in (heavy, disguised)]
        found = {(c.metric, c.judge): c for c in compare(*sides, Options(replicates=100))}
        assert {c.verdict for c in found.values()} == {"worse"}
        assert {c.by for c in found.values()} == {"paired bootstrap"}
        assert len(found) == 4
        assert found["auc", "dlib-resnet"].p_holm < 1e-6


class TestOtherwise:
    @pytest.mark.parametrize(("shift", "verdict"), [(0.02, "same"), (0.3, "worse")])
    def test_without_scores_the_intervals_decide(self, tmp_path, shift, verdict):
        sides = [[keep(tmp_path / str(s), cosines(shift=s), with_scores=False)] for s in (0, shift)]
        cell = only(compare(*sides))
        assert (cell.verdict, cell.by, cell.p) == (verdict, "intervals", None)

    def test_without_intervals_the_values_decide(self, tmp_path):
        def stored(value: float, name: str) -> list[Stored]:
            path = store.save(make_result("blur", (make_metric(value),)), {}, tmp_path / name)
            return read(path, pytest.fail)

        first = stored(0.5, "a")
        for value, verdict in (
            (0.5, "same"),
            (0.5 + 1e-12, "same"),
            (0.6, "worse"),
            (0.4, "better"),
        ):
            cell = only(compare(first, stored(value, f"{value}")))
            assert (cell.verdict, cell.by) == (verdict, "values")

    def test_scores_that_do_not_give_the_stored_value_are_not_used(self, before, tmp_path):
        wrong = Interval(low=0.4, high=0.7, method="made up")
        metric = make_metric(0.6, name="cosine", intervals=(wrong,))
        changed = relabel(tmp_path, before.path, metrics=(metric,))
        assert only(compare([before], read(changed, pytest.fail))).by == "intervals"

    @pytest.mark.parametrize(("lost", "by"), [(1, "paired bootstrap"), (2, "intervals")])
    def test_people_of_whom_every_image_failed_cannot_be_paired(self, before, tmp_path, lost, by):
        values = cosines(shift=0.01)
        values[:lost] = np.nan  # of the two images of the first person
        cell = only(compare([before], [keep(tmp_path / "after", values)]))
        assert cell.by == by
        assert cell.notes == (f"samples that failed: 0 → {lost}",)

    def test_equal_scores_need_no_bootstrap(self, before):
        said: list[str] = []
        cell = only(compare([before], [before], Options(report=said.append)))
        assert (cell.verdict, cell.by, said) == ("same", "identical scores", [])


SETUP = make_result().setup
OTHERS = {
    "protocol version: 1 → 2": {"protocol": PluginRef(name="lfw-tar", version=2, config={})},
    "protocol setting far: none → 0.1": {
        "protocol": PluginRef(name="lfw-tar", version=1, config={"far": 0.1})
    },
    "dataset hash: aaaaaaaaaaaa → bbbbbbbbbbbb": {
        "dataset": DatasetRef(name="orl", version=1, title="ORL", manifest="b" * 64, files=400)
    },
    "channel: png → jpeg:75": {"setup": SETUP.model_copy(update={"channel": "jpeg:75"})},
    "limit: None → 30": {"setup": SETUP.model_copy(update={"limit": 30})},
    "seed set: 0 → 1": {"setup": SETUP.model_copy(update={"seed": 1})},
    "detector hash of dlib-x: none → cccccccccccc": {
        "setup": SETUP.model_copy(
            update={"detector": PluginRef(name="dlib-hog", version=1, weights={"dlib-x": "c" * 64})}
        )
    },
    "alignment ffhq-256: 1 → 2": {
        "setup": Setup(seed=0, detector=SETUP.detector, templates={"ffhq-256": 2, "dlib-150": 1})
    },
    "judge version: 1 → 3": {
        "judges": (JudgeRef(name="dlib-resnet", version=3, title="D", training_data="faces"),)
    },
    "judge hash of dlib-resnet: none → dddddddddddd": {
        "judges": (
            JudgeRef(
                name="dlib-resnet",
                version=1,
                title="D",
                training_data="faces",
                weights={"dlib-resnet": "d" * 64},
            ),
        )
    },
    "test fill weights (net)": {
        "method": make_method("blur", weights={"net": "test fill " + "e" * 64})
    },
}


@pytest.mark.parametrize("reason", OTHERS)
def test_what_keeps_numbers_from_being_compared_is_named(tmp_path, reason):
    protocol = PluginRef(name="lfw-tar", version=1, config={})
    paths = [
        store.save(make_result(**{"protocol": protocol, **some}), {}, tmp_path / name)
        for name, some in (("a", {}), ("b", OTHERS[reason]))
    ]
    cell = only(compare(*(read(path, pytest.fail) for path in paths)))
    assert (cell.verdict, cell.reason) == ("not comparable", reason)


def test_another_judge_spoils_only_its_own_cells(tmp_path):
    first = keep(tmp_path / "a", cosines(), judges=("dlib-resnet", "fr-feature"))
    judges = tuple(
        judge.model_copy(update={"version": 2 if judge.name == "fr-feature" else 1})
        for judge in first.result.judges
    )
    changed = relabel(tmp_path / "b", first.path, judges=judges)
    found = {c.judge: c for c in compare([first], read(changed, pytest.fail))}
    assert found["dlib-resnet"].verdict == "same"
    assert found["fr-feature"].reason == "judge version: 1 → 2"


def test_other_weights_of_the_method_are_compared_and_named(before, tmp_path):
    method = make_method("blur", weights={"net": "f" * 64}, config={"sigma": 2.0})
    after = keep(tmp_path / "after", cosines(shift=-0.1), method=method)
    cell = only(compare([before], [after]))
    assert cell.verdict == "better"
    assert cell.changes == (
        "method setting sigma: none → 2.0",
        "method hash of net: none → ffffffffffff",
    )


def test_variants_are_matched_with_themselves(tmp_path):
    def side(name: str, shift: float, blocks: tuple[int, ...]) -> list[Stored]:
        return [
            keep(
                tmp_path / name, cosines(shift), method=make_method("pixelate", config={"block": b})
            )
            for b in blocks
        ]

    cells = compare(side("a", 0.0, (8, 16)), side("b", 0.1, (16, 8, 32)))
    assert [(c.verdict, c.changes) for c in cells[:2]] == [("worse", ())] * 2
    assert (cells[2].absent, cells[2].reason) == ("first", "missing in A")


def test_two_methods_are_compared_where_there_is_one_on_either_side(before, tmp_path):
    after = keep(tmp_path / "after", cosines(shift=0.2), method="pixelate")
    cell = only(compare([before], [after]))
    assert (cell.method, cell.verdict) == ("blur → pixelate", "worse")
    strict = compare([before], [after], Options(across_methods=False))
    assert [c.absent for c in strict] == ["second", "first"]


def test_what_is_na_on_both_sides_is_no_cell_and_on_one_side_says_why(tmp_path):
    lacking = make_metric(None, name="tar_recovered", reason="not reversible", std_of="")
    paths = [
        store.save(make_result("blur", metrics), {}, tmp_path / name)
        for name, metrics in (
            ("a", (make_metric(), lacking)),
            ("b", (make_metric(), make_metric(name="tar_recovered"))),
        )
    ]
    one, other = (read(path, pytest.fail) for path in paths)
    assert [c.metric for c in compare(one, one)] == ["tar"]
    assert compare(one, other)[1].reason == "n/a in A (not reversible)"


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreError):
        read(tmp_path / "nowhere", pytest.fail)
