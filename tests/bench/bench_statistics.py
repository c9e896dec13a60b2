"""Statistics beside the formulation that one would write first, and beside other packages.

Run: python tests/bench/run.py --only statistics
Random embeddings in the sizes of LFW: 13,000 images, 5,700 people, 6,000 pairs in 10 folds.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from all_pairs import embeddings
from harness import Options, Row, best, once, rival
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_curve

from anonbench.metrics.bootstrap import identity_strata, multiplicities, tar_replicates
from anonbench.metrics.frechet import Moments, frechet_distance, kernel_distance
from anonbench.metrics.verification import (
    GRID,
    ScoredPairs,
    all_impostor_counts,
    grid_bins,
    roc_auc,
)

IMAGES = 13_000
FAR = 0.01


def rows(options: Options) -> Iterator[Row]:
    yield all_pairs(options)
    yield bootstrap(options)
    yield area(options)
    yield frechet(options)
    yield kernel(options)


def all_pairs(options: Options) -> Row:
    """Distances of all pairs of different people, counted; beside one matrix of all of them."""
    few = 1_000 if options.quick else 4_000
    vectors, people = embeddings(few)

    def naive() -> NDArray[np.int64]:
        distances = np.clip(2 - 2 * (vectors @ vectors.T), 0, 4)
        first, second = np.triu_indices(few, k=1)
        others = people[first] != people[second]
        return np.bincount(grid_bins(distances[first, second][others]), minlength=len(GRID) + 1)

    assert all_impostor_counts(vectors, people).sum() == naive().sum()
    seconds, peak = in_fresh_process(few if options.quick else IMAGES)
    images = few if options.quick else IMAGES
    return Row(
        f"impostor pairs of {images:,} images",
        images * (images - 1) / 2 / seconds / 1e6,
        "M pairs/s",
        f"one matrix of {few:,} images",
        few * (few - 1) / 2 / best(naive, 1) / 1e6,
        note=f"{seconds:.1f} s, peak {peak:.0f} MiB with Python and the embeddings",
    )


def in_fresh_process(images: int) -> tuple[float, float]:
    """Seconds and peak MiB of counting all pairs of so many images."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("all_pairs.py")), str(images)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


def verification_pairs() -> ScoredPairs:
    rng = np.random.default_rng(0)
    same = np.arange(6000) % 600 < 300
    fold = np.arange(6000) // 600
    people = rng.integers(0, 570, (2, 6000)) + fold * 570
    distance = np.where(same, rng.normal(0.9, 0.3, 6000), rng.normal(1.6, 0.3, 6000)).clip(0, 4)
    return ScoredPairs(distance, same, fold, people[0], np.where(same, people[0], people[1]))


def bootstrap(options: Options) -> Row:
    """TAR with thresholds chosen anew, 1,000 times; beside a loop over replicates and folds."""
    pairs = verification_pairs()
    drawn = multiplicities(identity_strata(pairs)[0], 50 if options.quick else 1000, 0)
    few = drawn[:10]

    def naive() -> list[float]:
        return [naive_tar(pairs, counts) for counts in few]

    np.testing.assert_allclose(tar_replicates(pairs, FAR, "conservative", few), naive())
    seconds = best(lambda: tar_replicates(pairs, FAR, "conservative", drawn), 1)
    return Row(
        "bootstrap of TAR, 6,000 pairs",
        len(drawn) / seconds,
        "replicates/s",
        "a loop over replicates and folds",
        len(few) / best(naive, 1),
        note=f"{len(drawn)} replicates in {seconds:.2f} s",
    )


def naive_tar(pairs: ScoredPairs, drawn: NDArray[np.int64]) -> float:
    first, second = drawn[pairs.identity_a], drawn[pairs.identity_b]
    weight = np.where(pairs.same, first, first * second)
    tars = []
    for fold in np.unique(pairs.fold):
        setting = ~pairs.same & (pairs.fold != fold)
        distance, own = pairs.distance[setting], weight[setting]
        order = np.argsort(distance)
        reached = np.concatenate([[0], own[order].cumsum()])
        far = reached[np.searchsorted(distance[order], GRID, side="left")] / own.sum()
        threshold = GRID[np.flatnonzero(far <= FAR)[-1]]
        genuine = pairs.same & (pairs.fold == fold)
        accepted = pairs.distance[genuine] < threshold
        tars.append(np.average(accepted, weights=weight[genuine]))
    return float(np.mean(tars))


def area(options: Options) -> Row:
    rng = np.random.default_rng(0)
    genuine = rng.normal(0.9, 0.3, 3_000)
    impostor = rng.normal(1.6, 0.3, 100_000 if options.quick else 2_000_000)
    same = np.arange(len(genuine) + len(impostor)) < len(genuine)
    score = -np.concatenate([genuine, impostor])

    def theirs() -> float:
        far, tar, _ = roc_curve(same, score)
        return float(auc(far, tar))

    assert abs(roc_auc(genuine, impostor) - theirs()) < 1e-9
    own, reference = rival(lambda: roc_auc(genuine, impostor), theirs, options.turns)
    pairs = len(score) / 1e6
    return Row("AUC, exact", pairs / own, "M pairs/s", "sklearn roc_curve + auc", pairs / reference)


def features(options: Options, images: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    shape = (500, 128) if options.quick else (images, 2048)
    first, second = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    return np.abs(first), np.abs(second * 1.1)


def frechet(options: Options) -> Row:
    """Streamed moments and the distance, beside what pytorch-fid's command does with features."""
    from pytorch_fid.fid_score import calculate_frechet_distance

    first, second = features(options, 4000)

    def ours() -> float:
        both = []
        for whole in (first, second):
            moments = Moments(whole.shape[1])
            for start in range(0, len(whole), 50):
                moments.add(whole[start : start + 50])
            both.append(moments)
        return frechet_distance(*both)

    def theirs() -> float:
        statistics = [s for w in (first, second) for s in (w.mean(axis=0), np.cov(w, rowvar=False))]
        return float(calculate_frechet_distance(*statistics))

    values: list[float] = []
    own = once(lambda: values.append(ours()))
    reference = once(lambda: values.append(theirs()))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-3)
    size = f"2 x {len(first):,} x {first.shape[1]} features"
    return Row(f"Fréchet distance, {size}", 1 / own, "1/s", "pytorch-fid", 1 / reference)


def kernel(options: Options) -> Row:
    """100 subsets of 1,000, beside a kernel for each of them."""
    first, second = features(options, 3000)
    size = min(1000, len(first) // 2)

    def naive(subsets: int) -> None:
        rng = np.random.default_rng(0)
        for _ in range(subsets):
            x, y = (
                whole[rng.permutation(len(whole))[:size]].astype(np.float64)
                for whole in (first, second)
            )
            for a, b in ((x, x), (y, y), (x, y)):
                ((a @ b.T / a.shape[1] + 1) ** 3).sum()

    few = 5
    own = once(lambda: kernel_distance(first, second, subset_size=size))
    reference = once(lambda: naive(few))
    return Row("KID, 100 subsets", 100 / own, "subsets/s", "a kernel per subset", few / reference)
