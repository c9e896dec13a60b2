"""Face verification: thresholds at a false accept rate, true accept rate, area under the ROC.

A pair is accepted where its distance is strictly below the threshold. Thresholds stand on a grid
of step 0.001 over `[0, 4]`, the range of squared Euclidean distances between unit vectors, and
are chosen on impostor pairs only, by one of three rules:

- `facenet`: per fold, from the other folds: linear interpolation of threshold over FAR at the
  target, as in `lfw.evaluate` of davidsandberg/facenet. FAR is a step function of the threshold,
  so each of its values stands for many thresholds; here the *last* of them is kept, which makes
  the interpolation well-defined (scipy's `interp1d` refuses duplicates since 1.9).
- `conservative`: per fold, from the other folds: the largest threshold with FAR <= target.
- `pooled`: one for all folds: the largest threshold with FAR <= target on all impostor pairs.

A target is *unreachable*, for every rule, where the impostor pairs that set a threshold (those of
the other folds; all of them for `pooled`)

- are too few: `target * n < 1`, so that a single false accept already exceeds the target;
- never reach it: FAR stays below the target on the whole grid;
- exceed it at the first threshold above 0, so that only accepting nothing would meet it.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anonbench.errors import UnreachableFar

Rule = Literal["facenet", "conservative", "pooled"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

GRID: Floats = np.arange(4001) / 1000
GRID.setflags(write=False)


@dataclass(frozen=True)
class ScoredPairs:
    """N verification pairs with their distances.

    Attributes:
        distance: `[N]` at least 0 and not NaN; infinite for a pair that is never accepted.
        same: `[N]` whether the pair is genuine.
        fold: `[N]` any integers.
        identity_a: `[N]` integer code of the first image's person.
        identity_b: `[N]` the same for the second image.
    """

    distance: Floats
    same: Bools
    fold: Ints
    identity_a: Ints
    identity_b: Ints

    def __getitem__(self, mask: Bools) -> "ScoredPairs":
        """The pairs where `mask` `[N]` is true."""
        return ScoredPairs(
            self.distance[mask],
            self.same[mask],
            self.fold[mask],
            self.identity_a[mask],
            self.identity_b[mask],
        )


@dataclass(frozen=True)
class Verification:
    """What a rule gives on F folds.

    Attributes:
        threshold: `[F]` threshold used on each fold.
        tar: `[F]` share of a fold's genuine pairs accepted; NaN where it has none.
        far: `[F]` share of a fold's impostor pairs accepted; NaN where it has none.
        accepted: Genuine pairs accepted in all folds together.
        genuine: Genuine pairs in all folds together.
        impostor: Impostor pairs in all folds together.
    """

    threshold: Floats
    tar: Floats
    far: Floats
    accepted: int
    genuine: int
    impostor: int


def unit_vectors(vectors: NDArray[np.floating]) -> Floats:
    """L2-normalise `[N, D]` rows; a row of zeros or with a non-finite entry becomes NaN."""
    wide = vectors.astype(np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    usable = np.isfinite(norm) & (norm > 0)
    unit: Floats = np.divide(wide, norm, out=np.full_like(wide, np.nan), where=usable)
    return unit


def squared_distances(a: NDArray[np.floating], b: NDArray[np.floating]) -> Floats:
    """Squared Euclidean distances `[N]` in `[0, 4]` between the normalised rows of `[N, D]`.

    NaN where a row of either has no direction (zeros, or not finite).
    """
    squared: Floats = ((unit_vectors(a) - unit_vectors(b)) ** 2).sum(axis=1)
    return squared.clip(0, 4)


def grid_bins(distances: Floats) -> Ints:
    """Index of the first grid threshold that accepts each distance; `len(GRID)` where none does."""
    return np.searchsorted(GRID, distances, side="right").astype(np.int64)


def fold_histograms(bins: Ints, fold: Ints, folds: int, weights: Floats) -> Floats:
    """Weighted counts of impostor pairs per fold and grid bin.

    Args:
        bins: `[N]` from `grid_bins`.
        fold: `[N]` in `0 .. folds-1`.
        folds: Number of folds, F.
        weights: `[R, N]`, one row per replicate.

    Returns:
        `[R, F, len(GRID) + 1]`.
    """
    width = len(GRID) + 1
    rows = np.arange(len(weights))[:, None] * folds + fold
    flat = np.bincount(
        (rows * width + bins).ravel(), weights.ravel(), minlength=len(weights) * folds * width
    )
    return flat.astype(np.float64, copy=False).reshape(len(weights), folds, width)


def far_curves(counts: Floats, rule: Rule) -> Floats:
    """FAR at each grid threshold, on the pairs that set each fold's threshold.

    Args:
        counts: `[..., F, len(GRID) + 1]` from `fold_histograms`.
        rule: Says which pairs: all for `pooled`, otherwise those of the other folds.

    Returns:
        `[..., F, len(GRID)]`, rising; NaN where there is no such pair.
    """
    total = counts.sum(axis=-2, keepdims=True)
    used = np.broadcast_to(total, counts.shape) if rule == "pooled" else total - counts
    accepted = used.cumsum(axis=-1)
    with np.errstate(invalid="ignore"):
        curves: Floats = accepted[..., :-1] / accepted[..., -1:]
    return curves


def thresholds_at(curves: Floats, target: float, rule: Rule) -> Floats:
    """The threshold `[...]` that a rule takes from FAR curves `[..., len(GRID)]`; NaN from NaN."""
    low = np.count_nonzero(curves <= target, axis=-1) - 1
    threshold: Floats = GRID[low]
    if rule == "facenet":
        above = np.minimum(low + 1, len(GRID) - 1)
        far_low, far_high = (_at(curves, index) for index in (low, above))
        high = np.count_nonzero(curves <= far_high[..., None], axis=-1) - 1
        rise = far_high - far_low
        share = np.divide(target - far_low, rise, out=np.zeros_like(rise), where=rise > 0)
        threshold = threshold + share * (GRID[high] - threshold)
    return np.where(np.isnan(curves[..., -1]), np.nan, threshold)


def _at(curves: Floats, index: Ints) -> Floats:
    return np.take_along_axis(curves, index[..., None], axis=-1)[..., 0]


def share_by_fold(hits: Bools, fold: Ints, folds: int, weights: Floats) -> Floats:
    """Weighted share of hits per fold, `[R, F]`; NaN where a fold's weight is 0.

    Args:
        hits: `[R, N]` or `[N]`.
        fold: `[N]` in `0 .. folds-1`.
        folds: Number of folds, F.
        weights: `[R, N]`.
    """
    member = np.eye(folds)[fold]
    with np.errstate(invalid="ignore"):
        share: Floats = ((hits * weights) @ member) / (weights @ member)
    return share


def verify(pairs: ScoredPairs, target: float, rule: Rule) -> Verification:
    """Verification at a FAR by a rule: thresholds, TAR and realised FAR per fold.

    Args:
        pairs: Impostor and at least one genuine pairs.
        target: The FAR, in `(0, 1)`.
        rule: See the module.

    Raises:
        UnreachableFar: The impostor pairs cannot resolve the target, see the module.
    """
    distance, same = pairs.distance, pairs.same
    names, fold = np.unique(pairs.fold, return_inverse=True)
    ones = np.ones((1, len(distance)))
    counts = fold_histograms(grid_bins(distance[~same]), fold[~same], len(names), ones[:, ~same])
    threshold = reachable_thresholds(counts[0], target, rule)
    accepted = distance < threshold[fold]
    return Verification(
        threshold=threshold,
        tar=share_by_fold(accepted[same], fold[same], len(names), ones[:, same])[0],
        far=share_by_fold(accepted[~same], fold[~same], len(names), ones[:, ~same])[0],
        accepted=int(accepted[same].sum()),
        genuine=int(same.sum()),
        impostor=int((~same).sum()),
    )


def reachable_thresholds(counts: Floats, target: float, rule: Rule) -> Floats:
    """Thresholds `[F]` from impostor histograms `[F, len(GRID) + 1]`.

    Raises:
        UnreachableFar: See the module.
    """
    per_fold = counts.sum(axis=-1)
    available = int(per_fold.sum() - (0 if rule == "pooled" else per_fold.max()))
    check_resolvable(target, available)
    curves = far_curves(counts, rule)
    if (curves[:, -1] < target).any():
        raise UnreachableFar(
            f"A FAR of {target:g} is not reached at any threshold.",
            why=f"At the largest threshold it is {curves[:, -1].min():g}.",
            mend=f"Ask for less, e.g. far={curves[:, -1].min() / 2:.1g}.",
        )
    if (curves[:, 1] > target).any():
        raise UnreachableFar(
            f"A FAR of {target:g} is exceeded at every threshold above 0.",
            why=f"At the smallest, {GRID[1]:g}, it is {curves[:, 1].max():g}: "
            "the judge gives different people the same embedding.",
            mend="Use another judge.",
        )
    return thresholds_at(curves, target, rule)


def pooled_threshold(counts: Ints, target: float) -> tuple[float, float]:
    """The `pooled` rule on one histogram of impostors.

    Args:
        counts: `[len(GRID) + 1]` pairs per grid bin.
        target: The FAR.

    Returns:
        The threshold, which stands on the grid, and the FAR that it has exactly.

    Raises:
        UnreachableFar: See the module.
    """
    threshold = reachable_thresholds(counts[None].astype(np.float64), target, "pooled")[0]
    accepted = counts[: int(np.searchsorted(GRID, threshold)) + 1].sum()
    return float(threshold), float(accepted / counts.sum())


def resolves(target: float, impostors: int) -> bool:
    """Whether one false accept among so many impostor pairs is within the target FAR."""
    return target * impostors >= 1 - 1e-9


def smallest_far(impostors: int) -> float | None:
    """The smallest FAR of one significant digit that so many pairs resolve, None below two."""
    if impostors < 2:
        return None
    digit = 10.0 ** math.floor(math.log10(1 / impostors))
    return float(f"{math.ceil(1 / impostors / digit - 1e-9) * digit:.0e}")


def check_resolvable(target: float, impostors: int) -> None:
    """Refuse a FAR that is finer than so many impostor pairs can tell.

    Raises:
        UnreachableFar: `target * impostors < 1`.
    """
    if resolves(target, impostors):
        return
    far = smallest_far(impostors)
    raise UnreachableFar(
        f"A FAR of {target:g} cannot be measured with {impostors} impostor pairs.",
        why=f"At least {math.ceil(1 / target - 1e-9)} are needed to set a threshold: "
        "a single false accept must not exceed the FAR.",
        mend="Use more pairs" + (f" or ask for a higher FAR: far={far:g}." if far else "."),
    )


def roc_auc(genuine: Floats, impostor: Floats) -> float:
    """Area under the ROC: how often a genuine distance is below an impostor's, ties by half.

    Infinite distances are allowed, NaN is not.
    """
    ordered = np.sort(impostor)
    not_above = [np.searchsorted(ordered, genuine, side).sum() for side in ("left", "right")]
    number = len(genuine) * len(impostor)
    return float((2 * number - sum(not_above)) / 2 / number)


def binned_auc(genuine: Floats, impostor_counts: Ints) -> float:
    """`roc_auc` with impostors known by grid bin only: the mean of `shares_beyond`."""
    return float(shares_beyond(genuine, impostor_counts).mean())


def shares_beyond(genuine: Floats, impostor_counts: Ints) -> Floats:
    """Per genuine pair the share `[N]` of impostors at a larger distance; a shared bin is a tie.

    Args:
        genuine: `[N]` distances.
        impostor_counts: `[len(GRID) + 1]` pairs per bin.
    """
    total = impostor_counts.sum()
    beyond = total - impostor_counts.cumsum()
    bins = grid_bins(genuine)
    shares: Floats = (beyond[bins] + impostor_counts[bins] / 2) / total
    return shares


def all_impostor_counts(vectors: Floats, identity: Ints, block: int = 256) -> Ints:
    """Distances of all pairs of different people, counted per grid bin, in bounded memory.

    Args:
        vectors: `[N, D]` unit vectors, none NaN.
        identity: `[N]` integer code of each row's person.
        block: Rows compared at a time; memory is about `40 * block * N` bytes.

    Returns:
        `[len(GRID) + 1]`, its sum is the number of unordered pairs with different identities.
    """
    counts = np.zeros(len(GRID) + 1, dtype=np.int64)
    for start in range(0, len(vectors), block):
        rows, columns = slice(start, start + block), slice(start, None)
        distance = np.clip(2 - 2 * (vectors[rows] @ vectors[columns].T), 0, 4)
        wanted = np.triu(identity[rows, None] != identity[None, columns], k=1)
        counts += np.bincount(grid_bins(distance[wanted]), minlength=len(counts))
    return counts
