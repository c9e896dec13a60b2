"""Bootstrap over identities, for verification rates and for means over images.

Pairs that share a person are not independent, so people are resampled and not pairs: a person
drawn m times gives each of their genuine pairs the weight m, and an impostor pair the product of
its two people's multiplicities (the vertex bootstrap of Snijders and Borgatti, Connections 1999;
for face verification: Fogliato, Patil and Perona, arXiv 2306.01198). Where no person occurs in
two folds, people are drawn within their fold, so every replicate keeps the folds disjoint.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.verification import (
    Bools,
    Floats,
    Ints,
    Rule,
    ScoredPairs,
    far_curves,
    fold_histograms,
    grid_bins,
    share_by_fold,
    thresholds_at,
)


def identity_strata(pairs: ScoredPairs) -> tuple[Ints, bool]:
    """The fold of each identity code, or zeros where the folds share people.

    Returns:
        `[I]` stratum per code `0 .. I-1` (-1 for a code in no pair), and whether the folds are
        disjoint in people.
    """
    identity = np.concatenate([pairs.identity_a, pairs.identity_b])
    fold = np.concatenate([pairs.fold, pairs.fold])
    codes, names = np.unique(identity), np.unique(fold)
    seen = np.zeros((int(codes[-1]) + 1, len(names)), dtype=bool)
    seen[identity, np.searchsorted(names, fold)] = True
    disjoint = bool((seen.sum(axis=1) <= 1).all())
    strata = seen.argmax(axis=1) if disjoint else np.zeros(len(seen), dtype=np.int64)
    return np.where(seen.any(axis=1), strata, -1), disjoint


def multiplicities(strata: Ints, replicates: int, seed: int) -> Ints:
    """How often each person is drawn, with replacement within strata.

    Args:
        strata: `[I]` from `identity_strata`.
        replicates: Number of draws, R.
        seed: Seed of the draws.

    Returns:
        `[R, I]`; in each row every stratum keeps its number of people.
    """
    rng = np.random.default_rng(seed)
    drawn = np.zeros((replicates, len(strata)), dtype=np.int64)
    for stratum in np.unique(strata[strata >= 0]):
        members = np.flatnonzero(strata == stratum)
        drawn[:, members] = _draws(rng, len(members), replicates)
    return drawn


def pair_weights(pairs: ScoredPairs, drawn: Ints) -> Floats:
    """Weights `[R, N]` of pairs from multiplicities `[R, I]` of people."""
    first, second = drawn[:, pairs.identity_a], drawn[:, pairs.identity_b]
    return np.where(pairs.same, first, first * second).astype(np.float64)


def tar_replicates(
    pairs: ScoredPairs, target: float, rule: Rule, drawn: Ints, block: int = 10
) -> Floats:
    """Mean TAR over folds of each replicate, its thresholds chosen anew on its own impostors.

    Args:
        pairs: N scored pairs.
        target: The FAR.
        rule: How thresholds are chosen.
        drawn: `[R, I]` from `multiplicities`.
        block: Replicates computed at a time; ten histograms fit a processor cache.

    Returns:
        `[R]`; a fold without genuine weight is left out of its replicate's mean.
    """
    names, fold = np.unique(pairs.fold, return_inverse=True)
    genuine, impostor = pairs[pairs.same], pairs[~pairs.same]
    genuine_fold, impostor_fold = fold[pairs.same], fold[~pairs.same]
    bins = grid_bins(impostor.distance)
    means = []
    for part in _blocks(drawn, block):
        counts = fold_histograms(bins, impostor_fold, len(names), pair_weights(impostor, part))
        threshold = thresholds_at(far_curves(counts, rule), target, rule)
        accepted = genuine.distance < threshold[:, genuine_fold]
        weights = pair_weights(genuine, part)
        tar = share_by_fold(accepted, genuine_fold, len(names), weights)
        means.append(_mean_of_known(np.where(np.isnan(threshold), np.nan, tar)))
    return np.concatenate(means)


def fixed_threshold_replicates(genuine: ScoredPairs, threshold: float, drawn: Ints) -> Floats:
    """TAR `[R]` over all genuine pairs of each replicate at a given threshold."""
    return pair_mean_replicates(genuine, genuine.distance < threshold, drawn)


def pair_mean_replicates(pairs: ScoredPairs, values: Floats | Bools, drawn: Ints) -> Floats:
    """Mean `[R]` over pairs of their values `[N]` in each replicate."""
    weights = pair_weights(pairs, drawn)
    with np.errstate(invalid="ignore"):
        means: Floats = (weights @ values) / weights.sum(axis=1)
    return means


def auc_replicates(pairs: ScoredPairs, drawn: Ints, block: int = 20) -> Floats:
    """Area under the ROC `[R]` of each replicate, all folds together; ties count by half.

    Args:
        pairs: N scored pairs, some of either kind.
        drawn: `[R, I]` from `multiplicities`.
        block: Replicates computed at a time.
    """
    genuine, impostor = pairs[pairs.same], pairs[~pairs.same]
    order = np.argsort(impostor.distance, kind="stable")
    impostor_distance = impostor.distance[order]
    nearer, not_beyond = (
        np.searchsorted(impostor_distance, genuine.distance, side=side)
        for side in ("left", "right")
    )
    areas = []
    for part in _blocks(drawn, block):
        weights = pair_weights(impostor, part)[:, order]
        below = np.concatenate([np.zeros((len(part), 1)), weights.cumsum(axis=1)], axis=1)
        total = below[:, -1:]
        beyond = total - (below[:, nearer] + below[:, not_beyond]) / 2
        own = pair_weights(genuine, part)
        with np.errstate(invalid="ignore"):
            areas.append((own * beyond).sum(axis=1) / (own.sum(axis=1) * total[:, 0]))
    return np.concatenate(areas)


def mean_replicates(
    values: Floats, identity: Ints, replicates: int, seed: int, block: int = 20
) -> Floats:
    """Mean `[R]` over images in each replicate; an image counts as often as its person.

    All people are one stratum, drawn as by `multiplicities` but a few replicates at a time, so
    that memory does not grow with the number of replicates times that of people.

    Args:
        values: `[N]` finite.
        identity: `[N]` integer code of each image's person.
        replicates: Number of draws, R.
        seed: Seed of the draws.
        block: Replicates drawn at a time.
    """
    _, person, images = np.unique(identity, return_inverse=True, return_counts=True)
    totals = np.bincount(person, weights=values)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, replicates, block):
        drawn = _draws(rng, len(images), min(block, replicates - start))
        means.append(drawn @ totals / (drawn @ images))
    return np.concatenate(means)


def percentile_interval(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of replicates `[R]`; those that are NaN are left out."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _draws(rng: np.random.Generator, members: int, replicates: int) -> Ints:
    """How often each member is drawn, with replacement, in each replicate: `[R, M]`."""
    picks = rng.integers(members, size=(replicates, members))
    picks += np.arange(replicates)[:, None] * members
    counts: Ints = np.bincount(picks.ravel(), minlength=replicates * members)
    return counts.reshape(replicates, -1)


def _blocks(rows: Ints, size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _mean_of_known(values: Floats) -> Floats:
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)
    return mean
