"""Intervals that still have their replicates, so that two of them can be compared draw by draw."""

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.bootstrap import percentile_interval
from anonbench.results.record import Resampled


def resampled_interval(
    replicates: NDArray[np.float64], people: NDArray[np.int64], seed: int, method: str
) -> Resampled:
    """The percentile interval of a bootstrap, with its replicates.

    Args:
        replicates: `[R]`, NaN where a draw has no value.
        people: Who was drawn from, as integers in the order of drawing (-1: never drawn). Equal
            arrays, seeds and R mean equal draws.
        seed: Seed of the draws.
        method: The scheme in words.
    """
    low, high = percentile_interval(replicates)
    codes = np.ascontiguousarray(people, dtype=np.int64)
    return Resampled(
        low=low,
        high=high,
        method=method,
        replicates=tuple(None if value != value else value for value in replicates.tolist()),
        drawn=f"{seed}/{len(replicates)}/{sha256(codes.tobytes()).hexdigest()}",
        people=int((codes >= 0).sum()),
    )
