"""Whether two measurements differ by more than chance, and what many such questions cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.bootstrap import percentile_interval


@dataclass(frozen=True)
class Difference:
    """A difference of two measurements on the same people.

    Attributes:
        value: Second minus first.
        low: Lower end of its 95 % percentile interval.
        high: Upper end.
        p: Two-sided p-value of no difference.
    """

    value: float
    low: float
    high: float
    p: float


def paired_difference(value: float, replicates: NDArray[np.float64], people: int) -> Difference:
    """A paired bootstrap's verdict on a difference.

    The p-value is the larger of two: twice the share of replicates on the other side of 0, or on
    it (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 15), and the tail of
    Student's t, with as standard error the spread of the replicates on that side of their median
    that faces 0, and a degree of freedom less than people. The second says more than "below 1 / R"
    where all R replicates agree, as a correction for many comparisons needs, and does not trust a
    handful of people.

    Args:
        value: The difference.
        replicates: `[R]` differences, one per draw; those that are NaN are left out.
        people: Number of people drawn from, at least 2.
    """
    from scipy.stats import t  # takes a second to import

    known = replicates[~np.isnan(replicates)]
    low, high = percentile_interval(known)
    share = 2 * min(np.mean(known <= 0), np.mean(known >= 0))
    away = known * np.sign(value)
    facing = np.median(away) - away[away <= np.median(away)]
    spread = float(np.sqrt(np.mean(facing**2)))
    tail = 2 * t.sf(abs(value) / spread, people - 1) if spread > 0 else float(value == 0)
    return Difference(value, low, high, float(min(1, max(share, tail))))


def holm(p: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, after Holm (Scandinavian Journal of Statistics 1979).

    Rejecting those below a level errs in any of them with no more than that probability, however
    they depend on each other.
    """
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    stepped = np.maximum.accumulate(np.asarray(p, dtype=np.float64)[order] * factors)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]
