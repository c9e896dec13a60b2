"""P-values of paired differences and their correction, against hand computations and scipy."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap

from anonbench.metrics.bootstrap import auc_replicates, mean_replicates, multiplicities
from anonbench.metrics.significance import holm, paired_difference
from anonbench.metrics.verification import ScoredPairs, roc_auc


def test_three_people_by_hand():
    """Differences 3, -1, -1: of 27 draws 8 have the mean -1, 12 have 1/3, 6 have 5/3, 1 has 3.

    The share below 0 gives 2 * 8 / 27. The median is 1/3; of the 20 draws up to it 8 lie 4/3
    away, a variance of 32/45, so t squared is (1/3)^2 / (32/45) = 0.15625 with 2 degrees of
    freedom, for which the two tails are 1 - t / sqrt(2 + t^2).
    """
    means = np.array([np.mean(draw) for draw in product((3, -1, -1), repeat=3)])
    found = paired_difference(1 / 3, means, people=3)
    assert found.p == pytest.approx(1 - np.sqrt(0.15625 / 2.15625))
    assert (found.low, found.high) == pytest.approx((-1, 5 / 3), abs=0.5)


def test_the_share_of_replicates_counts_where_it_is_larger():
    replicates = np.array([-1.0] * 2 + [1.0] * 8 + [np.nan])
    assert paired_difference(1.0, replicates, people=10**6).p == pytest.approx(0.4)


def test_a_constant_shift_is_certain_and_no_shift_is_none():
    assert paired_difference(0.1, np.full(100, 0.1), people=10).p == 0
    assert paired_difference(0.0, np.zeros(100), people=10).p == 1


def test_the_interval_is_scipys_paired_bootstrap():
    random = np.random.default_rng(3)
    before = random.normal(0.5, 0.1, 40)
    after = before + random.normal(0.02, 0.05, 40)
    people = np.arange(40)
    moved = mean_replicates(after, people, 4000, 0) - mean_replicates(before, people, 4000, 0)
    found = paired_difference(float(after.mean() - before.mean()), moved, people=40)
    theirs = bootstrap(
        (before, after),
        lambda a, b, axis: (b - a).mean(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.05 * width)
    assert (found.p < 0.05) == (theirs.low > 0 or theirs.high < 0)


def test_without_a_difference_few_are_called_different():
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 3)
    called = 0
    for seed in range(200):
        noise = random.normal(size=20)[people] + random.normal(size=60)
        moved = mean_replicates(noise, people, 200, seed)
        called += paired_difference(float(noise.mean()), moved, people=20).p < 0.05
    assert called <= 20  # 10 are expected


def test_holm_on_the_example_of_four():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_auc_of_a_draw_is_that_of_the_people_as_often_as_drawn():
    random = np.random.default_rng(5)
    first, second = np.triu_indices(6)
    pairs = ScoredPairs(
        distance=random.integers(0, 6, len(first)) / 4,  # many ties
        same=first == second,
        fold=np.zeros(len(first), dtype=np.int64),
        identity_a=first,
        identity_b=second,
    )
    drawn = multiplicities(np.zeros(6, dtype=np.int64), 5, seed=2)
    for times, area in zip(drawn, auc_replicates(pairs, drawn, block=2), strict=True):
        often = np.where(pairs.same, times[first], times[first] * times[second])
        repeated = np.repeat(pairs.distance, often)
        same = np.repeat(pairs.same, often)
        assert area == pytest.approx(roc_auc(repeated[same], repeated[~same]))
