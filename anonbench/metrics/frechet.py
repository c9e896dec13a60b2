"""How far two sets of images are apart, by the features of their images: Fréchet and kernel.

With features of `anonbench.nets.inception_fid` these are FID (Heusel et al., NeurIPS 2017) and KID
(Bińkowski et al., ICLR 2018); of any other network they are not, and are called otherwise.

Neither needs the features of all images at once. The Fréchet distance needs means and covariances,
which `Moments` gathers in memory that does not grow. The kernel distance needs the features of a
sample, which `sampled` chooses before the first image is looked at.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.verification import Bools, Floats, Ints

Features = NDArray[np.floating]

_ROWS = 256
"""Rows gathered before a `[D, D]` matrix is touched, as that takes longer than all else."""


class Moments:
    """Mean and covariance of a stream of vectors, in float64.

    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (COMPSTAT 1982): centred sums of squares are added, so nothing large is subtracted
    from anything large. Rows are taken in blocks of a fixed size whatever batches they come in, so
    the batches make no difference at all.

    Args:
        dim: Length of the vectors, D. Memory is about `8 D (D + 256)` bytes.
    """

    def __init__(self, dim: int) -> None:
        self._folded = 0
        self._mean = np.zeros(dim)
        self._scatter = np.zeros((dim, dim))
        self._rows = np.empty((_ROWS, dim))
        self._waiting = 0

    @property
    def count(self) -> int:
        """Vectors so far, N."""
        return self._folded + self._waiting

    @property
    def mean(self) -> Floats:
        """`[D]`; zeros before the first vector."""
        self._fold()
        return self._mean.copy()

    @property
    def covariance(self) -> Floats:
        """`[D, D]`, divided by `N - 1`.

        Raises:
            ValueError: There are fewer than two vectors.
        """
        if self.count < 2:
            raise ValueError(f"{self.count} vectors have no covariance; it takes 2")
        self._fold()
        return self._scatter / (self._folded - 1)

    def add(self, batch: Features) -> None:
        """Take in the rows of `[B, D]`.

        Raises:
            ValueError: A number is not finite; rows without a face are to be left out before.
        """
        if not np.isfinite(batch).all():
            raise ValueError("a feature is not finite")
        start = 0
        while start < len(batch):
            taken = batch[start : start + _ROWS - self._waiting]
            self._rows[self._waiting : self._waiting + len(taken)] = taken
            self._waiting += len(taken)
            start += len(taken)
            if self._waiting == _ROWS:
                self._fold()

    def merge(self, other: "Moments") -> None:
        """Take in what another one saw, which stays as it is."""
        self._fold()
        self._combine(other._folded, other._mean, other._scatter)
        self.add(other._rows[: other._waiting])

    def _fold(self) -> None:
        if not self._waiting:
            return
        rows = self._rows[: self._waiting]
        mean = rows.mean(axis=0)
        centred = rows - mean
        self._combine(self._waiting, mean, centred.T @ centred)
        self._waiting = 0

    def _combine(self, count: int, mean: Floats, scatter: Floats) -> None:
        if not count:
            return
        total = self._folded + count
        shift = mean - self._mean
        self._mean += shift * (count / total)
        self._scatter += scatter
        self._scatter += np.outer(shift, shift * (self._folded * count / total))
        self._folded = total


class KernelDistance(NamedTuple):
    """A squared maximum mean discrepancy, which may be below 0: its estimate is unbiased.

    Attributes:
        mean: Over the subsets.
        std: Over the subsets, population. It tells how the subsets differ and is no confidence
            interval: they overlap.
        subsets: How many there were.
        subset_size: Images of each set in a subset.
    """

    mean: float
    std: float
    subsets: int
    subset_size: int


def enough(n: int, dim: int) -> bool:
    """Whether n images can give a Fréchet distance in D dimensions.

    Fewer than D give a singular covariance, and a distance that shrinks as images are added.
    """
    return n >= dim


def frechet_distance(first: Moments, second: Moments) -> float:
    """Squared 2-Wasserstein distance of two Gaussians with these moments, at least 0.

    `|m1 - m2|² + tr C1 + tr C2 - 2 tr (C1 C2)^½` (Dowson and Landau, Journal of Multivariate
    Analysis 1982). With `C = L Lᵀ` the last trace is the sum of the singular values of `L1ᵀ L2`,
    which are real for covariances of any rank, and have no root taken of their rounding errors.
    """
    means = np.square(first.mean - second.mean).sum()
    covariances = first.covariance, second.covariance
    factors = [_factor(covariance) for covariance in covariances]
    overlap = np.linalg.svd(factors[0].T @ factors[1], compute_uv=False).sum()
    traces = sum(np.trace(covariance) for covariance in covariances)
    return float(max(means + traces - 2 * overlap, 0.0))


def kernel_distance(
    first: Features,
    second: Features,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
    paired: bool = False,
) -> KernelDistance:
    """Squared MMD of random subsets with the kernel `(x·y / D + 1)³`, unbiased.

    Args:
        first: `[N, D]`, at least two rows.
        second: `[M, D]`, likewise.
        subsets: How many are drawn, each without replacement.
        subset_size: Images of each set in a subset; lowered to the smaller set. Where that is
            all of both, there is one subset.
        seed: Of the draws.
        paired: Row i of both sets comes from one image. Then a subset takes the same images of
            both, and the kernel between the two of one image is left out, as that of an image with
            itself is (Gretton et al., JMLR 2012, eq. 4): a set is at 0 from itself. Without it,
            such terms would bias the distance, the more the smaller the sets are.
    """
    size = min(subset_size, len(first), len(second))
    count = 1 if size == max(len(first), len(second)) else subsets
    rng = np.random.default_rng(seed)
    x, y = np.zeros((count, len(first))), np.zeros((count, len(second)))
    for subset in range(count):
        rows = rng.permutation(len(first))[:size]
        others = rows if paired else rng.permutation(len(second))[:size]
        x[subset, rows], y[subset, others] = 1, 1
    pairs = size * (size - 1)
    inside = _kernel_sums(first, first, x, x, False) + _kernel_sums(second, second, y, y, False)
    across = _kernel_sums(first, second, x, y, not paired)
    values = inside / pairs - 2 * across / (pairs if paired else size**2)
    return KernelDistance(float(values.mean()), float(values.std()), count, size)


def sampled(n: int, size: int, seed: int) -> Bools:
    """Which of n images are kept for a kernel distance, `[n]`: `size` of them, or all.

    It is known before the first is looked at, so the features of the others need never be held.
    """
    chosen: Ints = np.random.default_rng(seed).permutation(n)[:size]
    return np.isin(np.arange(n), chosen)


def _factor(covariance: Floats) -> Floats:
    """`L [D, R]` with `L Lᵀ` the covariance, whose rank is R."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > np.finfo(np.float64).eps * len(values) * values[-1]
    factor: Floats = vectors[:, kept] * np.sqrt(values[kept])
    return factor


def _kernel_sums(first: Features, second: Features, x: Floats, y: Floats, diagonal: bool) -> Floats:
    """Sums `[S]` of the kernel over the pairs of each of S subsets.

    All subsets share a kernel, which is computed once and tile by tile, so that neither it nor
    the features in float64 are ever whole in memory.

    Args:
        first: `[N, D]`.
        second: `[M, D]`.
        x: `[S, N]`, 1 for the rows of `first` that are in a subset and 0 for the others.
        y: `[S, M]` likewise.
        diagonal: Whether row i of both, or of the same, is a pair.
    """
    total = np.zeros(len(x))
    for top in range(0, len(first), _ROWS):
        rows = slice(top, top + _ROWS)
        for left in range(0, len(second), _ROWS):
            columns = slice(left, left + _ROWS)
            tile = _kernel(_wide(first[rows]), _wide(second[columns]))
            if top == left and not diagonal:
                np.fill_diagonal(tile, 0)
            total += (x[:, rows] @ tile * y[:, columns]).sum(axis=1)
    return total


def _kernel(x: Floats, y: Floats) -> Floats:
    kernel: Floats = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def _wide(features: Features) -> Floats:
    return features.astype(np.float64)
