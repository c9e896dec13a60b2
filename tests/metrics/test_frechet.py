"""Fréchet and kernel distances against pytorch-fid, torchmetrics, closed forms, direct sums."""

import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torchmetrics.image.kid import poly_mmd

from anonbench.metrics.frechet import Moments, enough, frechet_distance, kernel_distance, sampled


def features(n: int, dim: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """Correlated, skewed and non-negative, as features behind a ReLU are."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(0.2, scale, (n, dim)) @ rng.normal(0, dim**-0.5, (dim, dim))
    return np.maximum(mixed, 0)


def moments(*batches: np.ndarray) -> Moments:
    found = Moments(batches[0].shape[1])
    for batch in batches:
        found.add(batch)
    return found


def by_pytorch_fid(first: np.ndarray, second: np.ndarray) -> float:
    statistics = [part for x in (first, second) for part in (x.mean(axis=0), covariance(x))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scipy, about sqrtm's arguments and singular input
        return float(calculate_frechet_distance(*statistics))


def covariance(x: np.ndarray) -> np.ndarray:
    return np.cov(x, rowvar=False)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_moments_are_numpys(offset) -> None:
    x = features(700, 24, 0) + offset
    found = moments(x)
    assert found.count == 700
    assert found.mean == pytest.approx(x.mean(axis=0), rel=1e-12)
    assert found.covariance == pytest.approx(covariance(x), rel=1e-10, abs=1e-10)


def test_batches_make_no_difference_and_reading_between_them_hardly_any() -> None:
    x = features(1000, 16, 1)
    whole = moments(x)
    for cuts in ([1, 2, 3, 500], list(range(1, 1000)), [255, 256, 257], [0]):
        parts = moments(*np.split(x, cuts))
        assert (parts.mean == whole.mean).all()
        assert (parts.covariance == whole.covariance).all()
    curious = Moments(16)
    for row in x:
        curious.add(row[None])
        assert np.isfinite(curious.mean).all()
    assert curious.covariance == pytest.approx(whole.covariance, rel=1e-10, abs=1e-12)


def test_merged_moments_are_those_of_everything() -> None:
    x = features(900, 16, 2)
    first, second = moments(x[:310]), moments(x[310:])
    before = second.covariance
    first.merge(second)
    first.merge(Moments(16))
    assert first.count == 900
    assert first.mean == pytest.approx(x.mean(axis=0), rel=1e-12)
    assert first.covariance == pytest.approx(covariance(x), rel=1e-10, abs=1e-12)
    assert (second.covariance == before).all()


def test_moments_refuse_what_has_none() -> None:
    with pytest.raises(ValueError, match="2"):
        _ = moments(features(1, 4, 0)).covariance
    with pytest.raises(ValueError, match="not finite"):
        moments(np.array([[1.0, np.nan]]))


def test_memory_does_not_grow_with_the_images() -> None:
    def peak(images: int) -> int:
        tracemalloc.start()
        found, block = Moments(64), features(50, 64, 0)
        for _ in range(images // 50):
            found.add(block)
        _ = found.covariance
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(20_000) < 1.05 * peak(1_000)


@pytest.mark.parametrize(
    ("n", "dim", "tolerance"),
    [(600, 48, 1e-9), (2100, 128, 1e-9), (64, 64, 1e-6), (40, 64, 1e-6), (9, 128, 1e-6)],
    ids=["full rank", "more", "rank 63 of 64", "rank 39 of 64", "rank 8 of 128"],
)
def test_is_pytorch_fids_distance(n: int, dim: int, tolerance: float) -> None:
    """Below full rank their matrix root turns rounding errors of 1e-16 into 1e-8."""
    first, second = features(n, dim, 3), features(n, dim, 4, scale=1.3) + 0.1
    ours = frechet_distance(moments(first), moments(second))
    assert ours == pytest.approx(by_pytorch_fid(first, second), rel=tolerance)
    assert ours == pytest.approx(frechet_distance(moments(second), moments(first)), rel=1e-12)


def test_ranks_may_differ() -> None:
    first, second = features(500, 64, 5), features(12, 64, 6)
    ours = frechet_distance(moments(first), moments(second))
    assert ours == pytest.approx(by_pytorch_fid(first, second), rel=1e-6)


def test_independent_features_in_closed_form() -> None:
    """Diagonal covariances of 1 and 4, 9 and 1; means 3 apart: 9 + (1 - 2)² + (3 - 1)²."""
    cross = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]]) * np.sqrt(3 / 2)
    first, second = moments(cross * [1, 3]), moments(cross * [2, 1] + [0, 3])
    assert frechet_distance(first, second) == pytest.approx(9 + 1 + 4, rel=1e-12)


@pytest.mark.parametrize("n", [600, 40, 3])
def test_a_set_is_at_zero_from_itself_and_from_its_shuffle(n) -> None:
    x = features(n, 64, 7)
    itself, shuffled = moments(x), moments(np.random.default_rng(0).permutation(x))
    assert 0 <= frechet_distance(itself, itself) < 1e-12
    assert 0 <= frechet_distance(itself, shuffled) < 1e-12


def test_sets_without_spread_are_as_far_as_their_means() -> None:
    first, second = moments(np.zeros((5, 3))), moments(np.tile([3.0, 4.0, 0.0], (5, 1)))
    assert frechet_distance(first, second) == pytest.approx(25)
    assert frechet_distance(first, first) == 0


def test_enough_is_as_many_images_as_features() -> None:
    assert enough(2048, 2048)
    assert not enough(2047, 2048)


def direct(x: np.ndarray, y: np.ndarray, paired: bool) -> float:
    """The estimator written out, pair by pair."""
    m = len(x)
    total = 0.0
    for i in range(m):
        for j in range(m):
            cross = (x[i] @ y[j] / x.shape[1] + 1) ** 3
            if i != j:
                inner = sum((z[i] @ z[j] / x.shape[1] + 1) ** 3 for z in (x, y))
                total += inner / (m * (m - 1))
            if not paired:
                total -= 2 * cross / m**2
            elif i != j:
                total -= 2 * cross / (m * (m - 1))
    return total


@pytest.mark.parametrize("paired", [False, True])
def test_kernel_distance_of_whole_sets_is_the_direct_sum(paired) -> None:
    x, y = features(25, 8, 0), features(25, 8, 1) + 0.3
    found = kernel_distance(x, y, subset_size=25, paired=paired)
    assert found.mean == pytest.approx(direct(x, y, paired), rel=1e-10)
    assert (found.std, found.subsets, found.subset_size) == (0, 1, 25)


def test_kernel_distance_is_torchmetrics() -> None:
    x, y = features(60, 32, 2), features(60, 32, 3) + 0.2
    theirs = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))
    assert kernel_distance(x, y, subset_size=60).mean == pytest.approx(theirs, rel=1e-10)


def test_subsets_are_drawn_by_the_seed_and_average_to_the_whole() -> None:
    x, y = features(300, 16, 4), features(300, 16, 5) + 0.2
    first, again, other = (
        kernel_distance(x, y, subsets=60, subset_size=80, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert (first.subsets, first.subset_size) == (60, 80)
    whole = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))
    assert abs(first.mean - whole) < 5 * first.std / np.sqrt(60)
    assert kernel_distance(x, y[:280]).subset_size == 280


def test_kernel_distance_is_unbiased() -> None:
    """Halves of one population, again and again: below 0 about as often as above."""
    values = []
    for seed in range(60):
        x = features(60, 8, 99)[np.random.default_rng(seed).permutation(60)]
        values.append(kernel_distance(x[:30], x[30:]).mean)
    error = np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * error + 2e-2 * np.std(values)


def test_pairs_are_at_zero_where_nothing_changed() -> None:
    x = features(40, 16, 6)
    for size in (20, 40):
        found = kernel_distance(x, x, subsets=5, subset_size=size, paired=True)
        assert found.mean == pytest.approx(0, abs=1e-12)
    assert kernel_distance(x, x, subset_size=40).mean < -1e-3  # what the pairs would bias


def test_a_sample_is_chosen_beforehand() -> None:
    kept = sampled(1000, 150, seed=0)
    assert kept.sum() == 150
    assert (kept == sampled(1000, 150, seed=0)).all()
    assert (kept != sampled(1000, 150, seed=1)).any()
    assert 50 < kept[:500].sum() < 100
    assert sampled(10, 150, seed=0).all()
