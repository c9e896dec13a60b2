from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from anonbench.metrics.bootstrap import (
    fixed_threshold_replicates,
    identity_strata,
    mean_replicates,
    multiplicities,
    pair_weights,
    percentile_interval,
    tar_replicates,
)
from anonbench.metrics.intervals import clopper_pearson
from anonbench.metrics.verification import ScoredPairs, verify


def crowd(seed: int, folds: int = 4, people: int = 12, pairs: int = 20) -> ScoredPairs:
    """Subject-disjoint folds in which people share genuine and impostor pairs.

    A distance is the sum of its people's own offsets (std 0.2) and noise (std 0.2).
    """
    rng = np.random.default_rng(seed)
    n = folds * pairs
    fold = np.repeat(np.arange(folds), pairs)
    offset = rng.normal(0, 0.2, folds * people)
    own, first = (fold * people + rng.integers(people, size=n) for _ in range(2))
    second = fold * people + (first + rng.integers(1, people, size=n)) % people
    genuine = 0.9 + offset[own] + rng.normal(0, 0.2, n)
    impostor = 2 + offset[first] + offset[second] + rng.normal(0, 0.2, n)
    return ScoredPairs(
        np.concatenate([genuine, impostor]).clip(0, 4),
        np.repeat([True, False], n),
        np.tile(fold, 2),
        np.concatenate([own, first]),
        np.concatenate([own, second]),
    )


def repeated(pairs: ScoredPairs, weights: np.ndarray) -> ScoredPairs:
    """The pairs written out as often as their weight says."""
    index = np.repeat(np.arange(len(weights)), weights.astype(int))
    return pairs[index]


@pytest.mark.parametrize("rule", ["facenet", "conservative", "pooled"])
def test_a_replicate_is_the_rule_on_the_resampled_pairs(rule):
    pairs = crowd(0)
    drawn = multiplicities(identity_strata(pairs)[0], 20, seed=1)
    expected = []
    for people in drawn:
        weights = [
            people[a] if same else people[a] * people[b]
            for same, a, b in zip(pairs.same, pairs.identity_a, pairs.identity_b, strict=True)
        ]
        outcome = verify(repeated(pairs, np.array(weights)), 0.1, rule)
        expected.append(np.nanmean(outcome.tar))
    assert tar_replicates(pairs, 0.1, rule, drawn, block=7) == pytest.approx(expected)


def test_drawing_everybody_once_gives_the_estimate_itself():
    pairs = crowd(2)
    once = np.ones((1, 48), dtype=np.int64)
    assert tar_replicates(pairs, 0.1, "facenet", once)[0] == pytest.approx(
        verify(pairs, 0.1, "facenet").tar.mean()
    )


def test_people_are_drawn_within_disjoint_folds():
    pairs = crowd(3)
    strata, disjoint = identity_strata(pairs)
    drawn = multiplicities(strata, 50, seed=0)
    assert disjoint
    for fold in range(4):
        present = np.unique(pairs.identity_a[pairs.fold == fold])
        assert set(strata[present]) == {fold}
        assert (drawn[:, strata == fold].sum(axis=1) == (strata == fold).sum()).all()
    assert drawn.std() > 0.5


def test_people_are_drawn_over_all_folds_where_folds_share_them():
    pairs = crowd(3)
    shared = replace(pairs, identity_a=pairs.identity_a % 12, identity_b=pairs.identity_b % 12)
    strata, disjoint = identity_strata(shared)
    assert not disjoint
    assert set(strata) == {0}


def test_the_seed_decides_the_draws():
    strata = identity_strata(crowd(4))[0]
    first = multiplicities(strata, 30, seed=5)
    assert (first == multiplicities(strata, 30, seed=5)).all()
    assert (first != multiplicities(strata, 30, seed=6)).any()


def test_weights_of_genuine_and_impostor_pairs():
    pairs = ScoredPairs(
        np.ones(3), np.array([True, False, False]), np.zeros(3, int),
        np.array([0, 0, 1]), np.array([0, 1, 2]),
    )  # fmt: skip
    assert pair_weights(pairs, np.array([[3, 2, 0]])).tolist() == [[3, 6, 0]]


def test_percentile_interval_leaves_nan_out():
    values = np.append(np.arange(101) / 100, np.nan)
    assert percentile_interval(values, 0.9) == pytest.approx((0.05, 0.95))


def test_interval_over_identities_covers_where_the_binomial_one_does_not():
    """100 worlds with 20 dependent genuine pairs per person; the true TAR is known."""
    truth = norm.cdf(1.0, 0.9, np.hypot(0.2, 0.2))
    covered, binomial = 0, 0
    for seed in range(100):
        pairs = crowd(seed, folds=1, people=30, pairs=600)
        genuine = pairs[pairs.same]
        drawn = multiplicities(identity_strata(genuine)[0], 300, seed)
        low, high = percentile_interval(fixed_threshold_replicates(genuine, 1.0, drawn))
        covered += low <= truth <= high
        low, high = clopper_pearson(int((genuine.distance < 1.0).sum()), len(genuine.distance))
        binomial += low <= truth <= high
    assert 88 <= covered <= 99
    assert binomial < 70


def test_interval_with_thresholds_chosen_anew_covers_and_is_not_too_wide():
    """40 worlds; truth is the TAR at the threshold with the target FAR in the population."""
    target = 0.1
    threshold = norm.ppf(target, 2, np.sqrt(3) * 0.2)
    truth = norm.cdf(threshold, 0.9 + 0.5, np.hypot(0.2, 0.2))
    bounds, estimates = [], []
    for seed in range(40):
        world = crowd(seed, people=25, pairs=60)
        pairs = replace(world, distance=world.distance + 0.5 * world.same)
        drawn = multiplicities(identity_strata(pairs)[0], 120, seed)
        bounds.append(percentile_interval(tar_replicates(pairs, target, "conservative", drawn)))
        estimates.append(verify(pairs, target, "conservative").tar.mean())
    low, high = np.array(bounds).T
    assert np.mean((low <= truth) & (truth <= high)) >= 0.85
    assert 0.8 < np.mean(high - low) / (2 * 1.96 * np.std(estimates)) < 1.5


def album(seed: int, people: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """1 to 9 images per person, whose values (mean 3) share the person's own offset (std 1)."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people), rng.integers(1, 10, people))
    offset, noise = rng.normal(0, 1, people), rng.normal(0, 0.5, len(identity))
    return 3 + offset[identity] + noise, identity


def test_a_mean_replicate_is_the_mean_over_the_drawn_peoples_images():
    values, identity = album(0, people=6)
    drawn = multiplicities(np.zeros(6, dtype=np.int64), 50, seed=1)
    expected = [
        np.concatenate([values[identity == p] for p in range(6) for _ in range(people[p])]).mean()
        for people in drawn
    ]
    assert mean_replicates(values, identity, 50, seed=1) == pytest.approx(expected)


def test_interval_of_a_mean_covers_where_the_one_over_images_does_not():
    """400 worlds; 95 % of the intervals over people hold the true mean, 3."""
    covered, over_images = 0, 0
    for seed in range(400):
        values, identity = album(seed)
        low, high = percentile_interval(mean_replicates(values, identity, 400, seed))
        covered += low <= 3 <= high
        over_images += abs(values.mean() - 3) <= 1.96 * values.std() / np.sqrt(len(values))
    assert 0.92 <= covered / 400 <= 0.98
    assert over_images / 400 < 0.8
