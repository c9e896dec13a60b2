import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score, roc_curve

from anonbench.errors import UnreachableFar
from anonbench.metrics.verification import (
    GRID,
    ScoredPairs,
    all_impostor_counts,
    binned_auc,
    grid_bins,
    pooled_threshold,
    roc_auc,
    smallest_far,
    squared_distances,
    unit_vectors,
    verify,
)


def scored(genuine: dict[int, list[float]], impostor: dict[int, list[float]]) -> ScoredPairs:
    """Pairs from distances per fold; every pair has its own people."""
    rows = [(d, True, f) for f, ds in genuine.items() for d in ds]
    rows += [(d, False, f) for f, ds in impostor.items() for d in ds]
    distance, same, fold = (np.array(column) for column in zip(*rows, strict=True))
    code = np.arange(len(rows))
    return ScoredPairs(distance, same, fold, code, np.where(same, code, code + len(rows)))


def random_pairs(seed: int, folds: int = 10, per_fold: int = 25) -> ScoredPairs:
    rng = np.random.default_rng(seed)
    n = folds * per_fold
    genuine = np.clip(rng.normal(0.9, 0.35, n), 0, 4)
    impostor = np.clip(rng.normal(1.7, 0.3, n), 0, 4)
    fold = np.repeat(np.arange(folds), per_fold)
    return scored(
        {f: list(genuine[fold == f]) for f in range(folds)},
        {f: list(impostor[fold == f]) for f in range(folds)},
    )


@pytest.fixture
def tiny() -> ScoredPairs:
    """Two folds of four impostors each, distances between grid points."""
    return scored(
        {0: [1.9995, 2.0, 2.1, 2.3], 1: [1.4995, 1.5, 1.6, 1.8]},
        {0: [0.5005, 1.5005, 2.5005, 3.2005], 1: [1.0005, 2.0005, 3.0005, 3.5005]},
    )


class TestRulesByHand:
    """Target 0.3: on four impostors 0.25 is within it and 0.5 is not."""

    def test_conservative_takes_the_last_threshold_within_the_target(self, tiny):
        outcome = verify(tiny, 0.3, "conservative")
        assert outcome.threshold.tolist() == [2.0, 1.5]
        assert outcome.tar.tolist() == [0.25, 0.25]
        assert outcome.far.tolist() == [0.5, 0.25]
        assert (outcome.accepted, outcome.genuine, outcome.impostor) == (2, 8, 8)

    def test_facenet_interpolates_between_the_last_thresholds_of_each_far(self, tiny):
        outcome = verify(tiny, 0.3, "facenet")
        assert outcome.threshold == pytest.approx([2.0 + 0.2 * 1.0, 1.5 + 0.2 * 1.0])
        assert outcome.tar.tolist() == [0.75, 0.75]
        assert outcome.far.tolist() == [0.5, 0.25]

    def test_facenet_takes_the_last_threshold_where_the_target_is_met_exactly(self, tiny):
        assert verify(tiny, 0.25, "facenet").threshold.tolist() == [2.0, 1.5]

    def test_pooled_takes_one_threshold_from_all_impostors(self, tiny):
        outcome = verify(tiny, 0.3, "pooled")
        assert outcome.threshold.tolist() == [1.5, 1.5]
        assert outcome.tar.tolist() == [0.0, 0.25]
        assert outcome.far.tolist() == [0.25, 0.25]

    def test_a_distance_equal_to_the_threshold_is_not_accepted(self):
        pairs = scored({0: [1.0], 1: [0.999]}, {0: [1.0, 2.0], 1: [1.0, 2.0]})
        outcome = verify(pairs, 0.5, "conservative")
        assert outcome.threshold.tolist() == [2.0, 2.0]
        assert verify(pairs, 0.5, "pooled").far.tolist() == [0.5, 0.5]
        strict = scored({0: [1.5], 1: [1.499]}, {0: [1.5, 1.6], 1: [1.4995, 1.5]})
        assert verify(strict, 0.5, "conservative").tar.tolist() == [0.0, 1.0]

    def test_an_infinite_distance_is_never_accepted(self):
        pairs = scored({0: [np.inf, 0.1], 1: [0.1]}, {0: [1.0, 2.0], 1: [1.0, 2.0]})
        assert verify(pairs, 0.5, "facenet").tar.tolist() == [0.5, 1.0]

    def test_a_fold_without_genuine_pairs_has_no_tar(self):
        outcome = verify(scored({0: [0.1]}, {0: [1.0, 2.0], 1: [1.0, 2.0]}), 0.5, "facenet")
        assert outcome.tar[0] == 1.0
        assert np.isnan(outcome.tar[1])


def facenet_threshold_by_loops(impostors, target):
    """facenet's rule written out: FAR at each threshold, the last threshold of each FAR."""
    last = {}
    for step in range(4001):
        threshold = step / 1000
        last[sum(d < threshold for d in impostors) / len(impostors)] = threshold
    fars = sorted(last)
    for low, high in pairwise(fars):
        if low <= target < high:
            return last[low] + (target - low) / (high - low) * (last[high] - last[low])
    raise AssertionError("target out of range")


@pytest.mark.parametrize(("seed", "target"), [(0, 0.05), (1, 0.0234), (2, 0.2)])
def test_facenet_rule_equals_an_independent_reference(seed, target):
    pairs = random_pairs(seed, folds=4)
    outcome = verify(pairs, target, "facenet")
    for fold in range(4):
        others = pairs.distance[~pairs.same & (pairs.fold != fold)]
        threshold = facenet_threshold_by_loops(others, target)
        held_out = pairs.distance[pairs.same & (pairs.fold == fold)]
        assert outcome.threshold[fold] == pytest.approx(threshold, abs=1e-12)
        assert outcome.tar[fold] == pytest.approx(np.mean(held_out < threshold))


@pytest.mark.parametrize("seed", range(3))
def test_pooled_rule_agrees_with_sklearns_roc_curve(seed):
    rng = np.random.default_rng(seed)
    distance = (rng.choice(4000, 400, replace=False) + 0.5) / 1000
    pairs = scored({0: list(distance[:200] / 2)}, {0: list(distance[200:])})
    fpr, tpr, _ = roc_curve(pairs.same, -pairs.distance, drop_intermediate=False)
    outcome = verify(pairs, 0.03, "pooled")
    assert outcome.far[0] == fpr[fpr <= 0.03].max() == 0.03
    threshold = outcome.threshold[0]
    next_impostor = np.sort(pairs.distance[~pairs.same])[6]
    assert tpr[fpr <= 0.03].max() == np.mean(pairs.distance[pairs.same] < next_impostor)
    assert threshold == np.floor(next_impostor * 1000) / 1000


class TestUnreachableFar:
    def test_one_false_accept_must_be_within_the_target(self):
        def pairs(n):
            return scored({0: [0.1], 1: [0.1]}, {f: list(np.linspace(1, 2, n)) for f in (0, 1)})

        assert verify(pairs(10), 0.1, "facenet").tar.tolist() == [1.0, 1.0]
        assert verify(pairs(5), 0.1, "pooled").tar.tolist() == [1.0, 1.0]
        for rule in ("facenet", "conservative"):
            with pytest.raises(UnreachableFar, match=r"9 impostor pairs.*far=0\.2"):
                verify(pairs(9), 0.1, rule)

    @pytest.mark.parametrize("rule", ["facenet", "conservative", "pooled"])
    def test_never_reached_on_the_grid(self, rule):
        with pytest.raises(UnreachableFar, match="not reached at any threshold"):
            verify(scored({0: [0.1]}, {f: [4.0] * 9 + [1.0] for f in (0, 1)}), 0.2, rule)

    @pytest.mark.parametrize("rule", ["facenet", "conservative", "pooled"])
    def test_a_judge_that_tells_nobody_apart(self, rule):
        with pytest.raises(UnreachableFar, match="same embedding"):
            verify(scored({0: [0.0]}, {0: [0.0] * 20, 1: [0.0] * 20}), 0.1, rule)

    def test_impostors_of_one_fold_set_no_threshold_across_folds(self):
        with pytest.raises(UnreachableFar, match="0 impostor pairs"):
            verify(scored({0: [0.1]}, {0: [1.0] * 10}), 0.1, "conservative")

    def test_smallest_far_has_one_digit_and_is_resolved(self):
        assert [smallest_far(n) for n in (1, 2, 18, 450, 1000, 2700)] == [
            None,
            0.5,
            0.06,
            0.003,
            0.001,
            0.0004,
        ]


class TestAuc:
    def test_agrees_with_sklearn_with_ties_and_infinities(self):
        pairs = random_pairs(5)
        distance = pairs.distance.round(1)
        distance[pairs.same.nonzero()[0][:7]] = np.inf
        expected = roc_auc_score(pairs.same, -np.minimum(distance, 9))
        assert roc_auc(distance[pairs.same], distance[~pairs.same]) == pytest.approx(expected)

    def test_binned_is_exact_up_to_the_grid(self):
        pairs = random_pairs(6)
        counts = np.bincount(grid_bins(pairs.distance[~pairs.same]), minlength=len(GRID) + 1)
        expected = roc_auc_score(pairs.same, -grid_bins(pairs.distance))
        assert binned_auc(pairs.distance[pairs.same], counts) == pytest.approx(expected)


class TestDistances:
    def test_known_angles(self):
        a = np.array([[3.0, 0], [1, 0], [5, 0], [0.1, 0]], dtype=np.float32)
        b = np.array([[7.0, 0], [0, 2], [-1, 0], [1, np.sqrt(3)]], dtype=np.float32)
        assert squared_distances(a, b) == pytest.approx([0, 2, 4, 1], abs=1e-6)

    def test_vectors_without_direction_give_nan(self):
        a = np.array([[0.0, 0], [np.nan, 1], [np.inf, 1], [1, 1]])
        assert np.isnan(squared_distances(a, np.ones((4, 2)))).tolist() == [True, True, True, False]


class TestAllImpostors:
    @pytest.fixture
    def crowd(self):
        rng = np.random.default_rng(3)
        return unit_vectors(rng.normal(size=(60, 6))), rng.integers(20, size=60)

    def test_counts_every_pair_of_different_people_once(self, crowd):
        vectors, identity = crowd
        different = pdist(identity[:, None], "cityblock") > 0
        distance = pdist(vectors, "sqeuclidean")[different]
        counts = all_impostor_counts(vectors, identity, block=7)
        assert counts.sum() == different.sum()
        for step in (500, 1500, 2500):
            assert counts[: step + 1].sum() == (distance < GRID[step]).sum()

    def test_pooled_threshold_and_its_exact_far(self, crowd):
        vectors, identity = crowd
        different = pdist(identity[:, None], "cityblock") > 0
        distance = pdist(vectors, "sqeuclidean")[different]
        threshold, far = pooled_threshold(all_impostor_counts(vectors, identity), 0.01)
        assert far == np.mean(distance < threshold) <= 0.01
        assert np.mean(distance < threshold + 0.001) > 0.01

    def test_memory_grows_with_the_images_and_not_with_their_pairs(self):
        def peak(images: int) -> int:
            vectors = unit_vectors(np.random.default_rng(3).normal(size=(images, 4)))
            tracemalloc.start()
            try:
                all_impostor_counts(vectors, np.arange(images), block=64)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        assert peak(2000) < 2.5 * peak(1000)
        assert peak(2000) < 40 * 64 * 2000
