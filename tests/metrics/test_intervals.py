from scipy.stats import binomtest

from anonbench.metrics.intervals import clopper_pearson


def test_agrees_with_scipys_exact_binomial_interval():
    for hits, trials, level in [(0, 10, 0.95), (10, 10, 0.95), (3, 10, 0.9), (2730, 3000, 0.95)]:
        exact = binomtest(hits, trials).proportion_ci(level, method="exact")
        low, high = clopper_pearson(hits, trials, level)
        assert abs(low - exact.low) < 1e-12
        assert abs(high - exact.high) < 1e-12
