"""Confidence intervals in closed form."""


def clopper_pearson(hits: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval of a share, after Clopper and Pearson (Biometrika 1934).

    Args:
        hits: Successes, `0 .. trials`.
        trials: Independent trials, at least 1.
        level: Coverage, at least reached for every true share.

    Returns:
        Lower and upper bound in `[0, 1]`.
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(hits, trials - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, trials - hits, 1 - tail) if hits < trials else 1.0
    return float(low), float(high)
