"""Curves of false and true accepts from stored pairs, and bands around them."""

import numpy as np

from anonbench.metrics.bootstrap import identity_strata, multiplicities, pair_weights
from anonbench.metrics.verification import (
    GRID,
    Floats,
    Ints,
    ScoredPairs,
    fold_histograms,
    grid_bins,
)
from anonbench.values import Scores

LEVEL = 0.95


def stored_pairs(scores: Scores, undetected: str) -> ScoredPairs:
    """The pairs of stored verification scores, those with a failed image left out.

    Args:
        scores: Of the protocol `lfw-tar`.
        undetected: Its setting: with `reject`, a genuine pair whose published probe shows no face
            is never accepted.
    """
    distance, same = scores["distance"].astype(np.float64), scores["same"].astype(np.bool_)
    unseen = same & ~scores["found_probe"].astype(np.bool_) & (undetected == "reject")
    pairs = ScoredPairs(
        np.where(unseen, np.inf, distance),
        same,
        scores["fold"].astype(np.int64),
        scores["identity_a"].astype(np.int64),
        scores["identity_b"].astype(np.int64),
    )
    return pairs[~np.isnan(distance)]


def with_recovered_probes(scores: Scores) -> Scores | None:
    """Stored verification scores with genuine probes as recovered; None where none could be."""
    if "distance_recovered" not in scores:
        return None
    names = ("distance", "found_probe")
    return scores | {name: scores[f"{name}_recovered"] for name in names}


def roc_points(pairs: ScoredPairs) -> tuple[Floats, Floats]:
    """FAR and TAR at every threshold that tells two pairs apart, from accepting none on.

    Points on a straight line between their neighbours are left out.

    Args:
        pairs: All folds together; infinite distances are never accepted.

    Returns:
        Two arrays of the same length, each rising from 0.
    """
    order = np.argsort(pairs.distance, kind="stable")
    distance, same = pairs.distance[order], pairs.same[order]
    last = np.append(distance[1:] != distance[:-1], True) & np.isfinite(distance)
    false, true = (hits.cumsum()[last] for hits in (~same, same))
    corner = np.ones(len(false), dtype=bool)
    corner[1:-1] = (np.diff(false, 2) != 0) | (np.diff(true, 2) != 0)
    far, tar = false[corner] / (~same).sum(), true[corner] / same.sum()
    return np.append(0.0, far), np.append(0.0, tar)


def tar_at(pairs: ScoredPairs, far: Floats, drawn: Ints) -> Floats:
    """TAR of bootstrap replicates at given FARs.

    In each replicate the threshold is the largest of the protocol's grid with a FAR not above the
    given one, on the replicate's own impostors of all folds.

    Args:
        pairs: N pairs.
        far: `[P]` rising.
        drawn: `[R, I]` from `bootstrap.multiplicities`.

    Returns:
        `[R, P]`.
    """
    genuine, impostor = pairs[pairs.same], pairs[~pairs.same]
    bins = grid_bins(genuine.distance), grid_bins(impostor.distance)
    found = []
    for row in drawn[:, None]:
        true, false = _accepted(genuine, bins[0], row), _accepted(impostor, bins[1], row)
        found.append(true[np.searchsorted(false, far, side="right") - 1])
    return np.stack(found)


def band(pairs: ScoredPairs, far: Floats, replicates: int, seed: int) -> tuple[Floats, Floats]:
    """Pointwise percentile band of TAR `[P]` at FARs `[P]`, by bootstrap over identities."""
    strata, _ = identity_strata(pairs)
    tar = tar_at(pairs, far, multiplicities(strata, replicates, seed))
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(tar, [tail, 1 - tail], axis=0)
    return low, high


def _accepted(pairs: ScoredPairs, bins: Ints, drawn: Ints) -> Floats:
    """Share of pairs accepted at each threshold of the grid, in one replicate `[1, I]`."""
    fold = np.zeros(len(bins), dtype=np.int64)
    counts = fold_histograms(bins, fold, 1, pair_weights(pairs, drawn))[0, 0]
    with np.errstate(invalid="ignore"):
        share: Floats = counts.cumsum()[: len(GRID)] / counts.sum()
    return share
