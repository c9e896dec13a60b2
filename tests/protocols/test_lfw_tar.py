from collections import Counter

import numpy as np
import pytest
from verification_world import World, protocol, random_world

from anonbench.errors import BadConfig, BadData, UnreachableFar
from anonbench.registry import protocols
from anonbench.values import Pair

FAST = ":bootstrap=100"


RECOVERED = {"a/2": 30, "a/3": 25, "c/2": 25}


def angle(degrees: float) -> np.ndarray:
    """A plane vector; the squared distance to angle 0 is 2 - 2 cos."""
    return 3 * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])


def metrics_of(reduction):
    return {metric.name: metric for metric in reduction.metrics}


@pytest.fixture
def slots() -> World:
    """`a/2` is the second image of a genuine pair, the first of another, and in an impostor's."""
    pairs = [
        Pair(0, "a/1", "a/2", True),
        Pair(0, "a/2", "a/3", True),
        Pair(0, "a/2", "b/1", False),
        Pair(0, "b/1", "a/2", False),
        Pair(1, "c/1", "c/2", True),
        Pair(1, "c/1", "d/1", False),
        Pair(1, "c/2", "d/1", False),
    ]
    degrees = {"a/1": 0, "a/2": 10, "a/3": 20, "b/1": 101, "c/1": 200, "c/2": 210, "d/1": 300}
    vectors = {("original", id_): angle(d) for id_, d in degrees.items()}
    vectors |= {("published", id_): angle(degrees[id_] + 60) for id_ in ("a/2", "a/3", "c/2")}
    return World(pairs, vectors)


class TestSlots:
    def test_an_image_is_needed_in_every_role_it_plays(self, slots):
        needs = protocol("lfw-tar:far=0.5").needs(slots, None)
        assert needs.published == ("a/2", "a/3", "c/2")
        assert needs.original == ("a/1", "a/2", "b/1", "c/1", "c/2", "d/1")

    def test_only_second_images_of_genuine_pairs_are_judged_as_published(self, slots):
        scores = protocol("lfw-tar:far=0.5").score(slots, slots, "judge", None)
        between = [70, 70, 91, 91, 70, 100, 90]
        assert scores["distance"] == pytest.approx(2 - 2 * np.cos(np.deg2rad(between)), abs=1e-6)
        assert scores["a"].tolist() == [pair.a for pair in slots.all_pairs]
        assert scores["b"].tolist() == [pair.b for pair in slots.all_pairs]
        assert scores["fold"].tolist() == [0, 0, 0, 0, 1, 1, 1]
        assert scores["identity_a"].tolist() == [0, 0, 0, 1, 2, 2, 2]
        assert scores["identity_b"].tolist() == [0, 0, 1, 0, 2, 3, 3]

    def test_scores_can_be_stored_without_pickle(self, slots, tmp_path):
        scores = protocol("lfw-tar:far=0.5").score(slots, slots, "judge", None)
        np.savez(tmp_path / "scores.npz", **scores)
        loaded = dict(np.load(tmp_path / "scores.npz", allow_pickle=False))
        bench = protocol("lfw-tar:far=0.5" + FAST)
        assert bench.reduce(loaded) == bench.reduce(scores)

    def test_lfw_has_2556_images_to_anonymize(self, shared):
        from anonbench.data import open_dataset

        dataset = open_dataset("lfw", shared / "data")
        needs = protocol("lfw-tar").needs(dataset, None)
        pairs = dataset.pairs()
        first = {pair.a for pair in pairs if pair.same}
        impostor = {id_ for pair in pairs if not pair.same for id_ in (pair.a, pair.b)}
        published = set(needs.published)
        assert len(published) == len(needs.published) == 2556
        assert len(published & first) == 387
        assert len(published & impostor) == 602
        assert set(needs.original) == first | impostor
        assert len(published | set(needs.original)) == 7701


class TestReduction:
    def test_values_by_hand(self, slots):
        """The angles of the impostors are 91, 91 in fold 0 and 90, 100 in fold 1."""
        bench = protocol("lfw-tar:far=0.5:rule=conservative" + FAST)
        result = metrics_of(bench.reduce(bench.score(slots, slots, "judge", None)))
        tar, far, auc = result["tar"], result["far"], result["auc"]
        squares = 2 - 2 * np.cos(np.deg2rad([100, 91]))
        assert tar.detail["threshold"] == pytest.approx(np.mean(np.floor(squares * 1000) / 1000))
        assert (tar.value, tar.std, tar.n) == (1.0, 0.0, 3)
        assert (tar.detail["accepted"], tar.detail["folds"]) == (3, 2)
        assert far.value == tar.detail["far"] == (1.0 + 0.5) / 2
        assert far.n == 4
        assert auc.value == 1.0
        assert {metric.direction for metric in (tar, auc)} == {"lower"}

    def test_std_is_that_of_the_folds_and_intervals_hold_the_value(self):
        world = random_world()
        bench = protocol("lfw-tar:far=0.05:rule=pooled" + FAST)
        scores = bench.score(world, world, "judge", None)
        tar = metrics_of(bench.reduce(scores))["tar"]
        accepted = (scores["distance"] < tar.detail["threshold"])[scores["same"]].reshape(10, 6)
        assert 0 < tar.value < 1
        assert tar.value == pytest.approx(accepted.mean())
        assert tar.std == pytest.approx(accepted.mean(axis=1).std(ddof=0))
        assert tar.std_of == "folds, population"
        bootstrap, exact = tar.intervals
        assert "identities" in bootstrap.method
        assert "100 replicates" in bootstrap.method
        assert "Clopper-Pearson" in exact.method
        assert all(i.low <= tar.value <= i.high for i in tar.intervals)

    def test_the_bootstrap_seed_decides_the_interval(self):
        world = random_world()
        scores = protocol("lfw-tar").score(world, world, "judge", None)

        def interval(seed):
            bench = protocol(f"lfw-tar:far=0.05:bootstrap_seed={seed}{FAST}")
            return metrics_of(bench.reduce(scores))["tar"].intervals[0]

        assert interval(1) == interval(1)
        assert interval(1) != interval(2)


class TestFailedAndUndetected:
    def test_failed_images_leave_their_pairs_out_and_are_counted(self, slots):
        slots.failed["published", "a/2"] = "the method crashed"
        slots.failed["original", "d/1"] = "truncated file"
        slots.vectors["original", "b/1"] = np.zeros(2)
        bench = protocol("lfw-tar:far=0.5" + FAST)
        scores = bench.score(slots, slots, "judge", None)
        assert np.isnan(scores["distance"]).tolist() == [True, False, True, True, False, True, True]
        assert scores["failed"].tolist() == [
            "the method crashed", "", "unusable embedding", "unusable embedding",
            "", "truncated file", "truncated file",
        ]  # fmt: skip
        with pytest.raises(UnreachableFar, match="0 impostor pairs"):
            bench.reduce(scores)

    def test_counts_after_a_failure(self):
        world = random_world()
        world.failed["published", "p0_0/1"] = "boom"
        bench = protocol("lfw-tar:far=0.05" + FAST)
        reduction = bench.reduce(bench.score(world, world, "judge", None))
        assert (reduction.counts.expected, reduction.counts.used) == (120, 119)
        assert reduction.counts.failed == {"boom": 1}
        assert reduction.counts.unit == "pairs"
        assert metrics_of(reduction)["tar"].n == 59

    def test_an_image_that_is_not_on_disk_is_counted(self, slots):
        on_disk = [sample for sample in slots.samples() if sample.id != "d/1"]
        slots.samples = lambda: on_disk
        slots.failed["original", "d/1"] = "missing"
        scores = protocol("lfw-tar:far=0.5").score(slots, slots, "judge", None)
        assert scores["failed"].tolist().count("missing") == 2

    def test_no_genuine_pair_is_an_error_with_the_reason(self, slots):
        for id_ in ("a/2", "a/3", "c/2"):
            slots.failed["published", id_] = "out of memory"
        bench = protocol("lfw-tar:far=0.5" + FAST)
        with pytest.raises(BadData, match="out of memory: 3 pairs"):
            bench.reduce(bench.score(slots, slots, "judge", None))

    def test_reject_counts_a_probe_without_a_face_as_not_accepted(self, slots):
        slots.unfound |= {("published", "c/2"), ("original", "a/1"), ("original", "d/1")}
        scores = protocol("lfw-tar:far=0.5").score(slots, slots, "judge", None)
        assert scores["found"].tolist() == [False, True, True, True, False, False, False]
        assert scores["found_probe"].tolist() == [True, True, True, True, False, False, False]
        tar, counts = {}, {}
        for undetected in ("fallback", "reject"):
            reduction = protocol(f"lfw-tar:far=0.5:undetected={undetected}{FAST}").reduce(scores)
            tar[undetected] = metrics_of(reduction)["tar"]
            counts[undetected] = reduction.counts
        assert tar["fallback"].value == 1.0
        assert tar["reject"].value == 0.5
        assert tar["reject"].detail["accepted"] == 2
        assert tar["reject"].detail["threshold"] == tar["fallback"].detail["threshold"]
        assert counts["reject"].used == 7
        assert counts["reject"].detail["genuine, face not found in the published probe"] == 1
        assert counts["reject"].detail["genuine, rejected for it"] == 1
        assert counts["fallback"].detail["genuine, rejected for it"] == 0


class TestRecovered:
    def test_probes_are_recovered_and_thresholds_stay_those_of_clean_impostors(self, slots):
        slots.vectors |= {("recovered", id_): angle(d) for id_, d in RECOVERED.items()}
        bench = protocol("lfw-tar:far=0.5:rule=conservative" + FAST)
        assert bench.needs(slots, None).recovered == ("a/2", "a/3", "c/2")
        scores = bench.score(slots, slots, "judge", None)
        between = [30, 15, 91, 91, 175, 100, 90]
        assert scores["distance_recovered"] == pytest.approx(
            2 - 2 * np.cos(np.deg2rad(between)), abs=1e-6
        )
        result = metrics_of(bench.reduce(scores))
        tar, recovered = result["tar"], result["tar_recovered"]
        assert (tar.value, recovered.value) == (1.0, 0.5)
        assert (recovered.n, recovered.detail["accepted"]) == (3, 2)
        assert recovered.std == 0.5
        for name in ("threshold", "far", "far_target", "folds"):
            assert recovered.detail[name] == tar.detail[name]
        assert [i.method for i in recovered.intervals] == [i.method for i in tar.intervals]
        assert (tar.direction, recovered.direction) == ("lower", "higher")

    def test_without_recovery_there_is_a_reason_and_nothing_else_changes(self, slots):
        bench = protocol("lfw-tar:far=0.5" + FAST)
        reduction = bench.reduce(bench.score(slots, slots, "judge", None))
        metric = metrics_of(reduction)["tar_recovered"]
        assert (metric.value, metric.reason, metric.n) == (None, "not reversible", 0)
        assert not any("recovered" in name for name in reduction.counts.detail)

    def test_a_lost_recovered_image_costs_its_pair_only_there(self, slots):
        slots.vectors |= {("recovered", id_): angle(d) for id_, d in RECOVERED.items()}
        slots.failed["recovered", "c/2"] = "no face to align"
        bench = protocol("lfw-tar:far=0.5" + FAST)
        reduction = bench.reduce(bench.score(slots, slots, "judge", None))
        result, counts = metrics_of(reduction), reduction.counts
        assert (result["tar"].n, result["tar_recovered"].n) == (3, 2)
        assert result["tar_recovered"].value == 1.0
        assert counts.failed == {"recovered: no face to align": 1}
        assert counts.used + 1 == counts.expected == 7

    def test_when_nothing_could_be_recovered_the_rest_still_stands(self, slots):
        slots.vectors |= {("recovered", id_): angle(d) for id_, d in RECOVERED.items()}
        slots.failed |= {("recovered", id_): "too dark" for id_ in RECOVERED}
        bench = protocol("lfw-tar:far=0.5" + FAST)
        result = metrics_of(bench.reduce(bench.score(slots, slots, "judge", None)))
        assert result["tar"].value == 1.0
        assert result["tar_recovered"].value is None
        assert "too dark: 3 pairs" in result["tar_recovered"].reason

    def test_a_recovered_image_without_a_face_is_rejected_on_request(self, slots):
        slots.vectors |= {("recovered", id_): angle(d) for id_, d in RECOVERED.items()}
        slots.unfound.add(("recovered", "a/3"))
        scores = protocol("lfw-tar:far=0.5").score(slots, slots, "judge", None)
        found = {}
        for undetected in ("fallback", "reject"):
            bench = protocol(f"lfw-tar:far=0.5:rule=conservative:undetected={undetected}{FAST}")
            reduction = bench.reduce(scores)
            found[undetected] = metrics_of(reduction)
            detail = reduction.counts.detail
            assert detail["genuine, face not found in the recovered probe"] == 1
            assert detail["genuine, face not found in the published probe"] == 0
        assert found["fallback"]["tar_recovered"].detail["accepted"] == 2
        assert found["reject"]["tar_recovered"].detail["accepted"] == 1
        assert found["reject"]["tar"] == found["fallback"]["tar"]


class TestLimit:
    def test_takes_the_first_pairs_of_either_kind_in_turn_from_every_fold(self):
        world = random_world(folds=4)
        scores = protocol("lfw-tar:far=0.5").score(world, world, "judge", 6)
        per_fold = Counter(zip(scores["fold"].tolist(), scores["same"].tolist(), strict=True))
        assert per_fold == {
            (fold, same): n for fold, n in enumerate((2, 2, 1, 1)) for same in (True, False)
        }
        official = [(pair.a, pair.b) for pair in world.all_pairs if pair.fold == 0][:4]
        chosen = list(zip(scores["a"].tolist(), scores["b"].tolist(), strict=True))
        assert chosen[:4] == official

    def test_needs_are_those_of_the_chosen_pairs(self):
        world = random_world(folds=4)
        bench = protocol("lfw-tar:far=0.5")
        needs, scores = bench.needs(world, 6), bench.score(world, world, "judge", 6)
        assert set(needs.published) == set(scores["b"][scores["same"]])
        assert set(needs.original) == set(scores["a"]) | set(scores["b"][~scores["same"]])

    @pytest.mark.parametrize(("rule", "smallest"), [("facenet", 23), ("pooled", 20)])
    def test_too_small_a_limit_names_the_smallest_sufficient_one(self, rule, smallest):
        world, bench = random_world(), protocol(f"lfw-tar:far=0.05:rule={rule}")
        bench.needs(world, smallest)
        with pytest.raises(UnreachableFar, match=f"--limit {smallest} or more") as error:
            bench.needs(world, smallest - 1)
        assert "--protocol lfw-tar:far=0.06" in error.value.mend

    def test_too_small_a_dataset_names_only_a_sufficient_far(self):
        world = random_world()
        with pytest.raises(UnreachableFar, match=r"54 impostor pairs") as error:
            protocol("lfw-tar").needs(world, None)
        assert error.value.mend == "Use a higher FAR: --protocol lfw-tar:far=0.02."
        protocol("lfw-tar:far=0.02").needs(world, None)

    def test_on_lfw_1112_pairs_are_needed_for_a_far_of_one_in_a_thousand(self, shared):
        from anonbench.data import open_dataset

        dataset = open_dataset("lfw", shared / "data")
        with pytest.raises(UnreachableFar, match="--limit 1112 or more"):
            protocol("lfw-tar").needs(dataset, 100)
        assert protocol("lfw-tar").needs(dataset, 1112).published


@pytest.mark.parametrize(
    "setting",
    [
        "rule=best",
        "far=0",
        "far=1",
        "far=nan",
        "undetected=skip",
        "bootstrap=0",
        "bootstrap_seed=-1",
    ],
)
def test_a_bad_setting_is_named(setting):
    with pytest.raises(BadConfig, match=f"lfw-tar:{setting.split('=')[0]}"):
        protocol(f"lfw-tar:{setting}")


def test_a_missing_setting_is_named():
    card = protocols.card("lfw-tar")
    config = {key: value for key, value in card.config.items() if key != "far"}
    with pytest.raises(BadConfig, match="lfw-tar:far"):
        protocols.load("lfw-tar")(card.model_copy(update={"config": config}))


def test_cards_name_the_suites_and_the_table():
    card = protocols.card("lfw-tar")
    assert card.suites["demo"].dataset == "orl"
    assert card.suites["paper"].dataset == "lfw"
    assert len(card.suites["paper"].judges) == 4
    assert card.published == ("g2face-table-1",)
    assert [spec.name for spec in card.metrics] == ["tar", "tar_recovered", "far", "auc"]
