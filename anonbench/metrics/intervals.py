"""Confidence intervals in closed form."""

from scipy.stats import beta


def clopper_pearson(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of a share, after Clopper and Pearson (Biometrika 1934).

    Args:
        hits: Successes, `0 .. trials`.
        trials: Independent trials, at least 1.
        level: Coverage, at least reached for every true share.

    Returns:
        Lower and upper bound in `[0, 1]`.
    """
    tail = (1 - level) / 2
    low = beta.ppf(tail, hits, trials - hits + 1) if hits else 0.0
    high = beta.ppf(1 - tail, hits + 1, trials - hits) if hits < trials else 1.0
    return float(low), float(high)
