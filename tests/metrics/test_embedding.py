"""Embedding clouds by hand, against numpy, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics.pairwise import cosine_similarity

from anonbench.metrics.embedding import (
    cluster_distances,
    effective_rank,
    mean_cosine,
    pairwise_cosines,
    pca,
    tsne,
)


def cloud(n: int = 30, dim: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(0.3, 1, (n, dim)) * np.arange(1, dim + 1)).astype(np.float32)


def clumps(per: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Three far groups in 8 dimensions."""
    rng = np.random.default_rng(1)
    centres = 20 * np.eye(3, 8)
    labels = np.repeat(np.arange(3), per)
    return centres[labels] + rng.normal(0, 1, (3 * per, 8)), labels


def test_cosines_are_those_of_scikit_learn():
    vectors = cloud()
    assert pairwise_cosines(vectors) == pytest.approx(
        cosine_similarity(vectors.astype(np.float64)), abs=1e-12
    )
    assert pairwise_cosines(vectors).max() <= 1


def test_the_mean_cosine_by_hand():
    """0°, 60° and 90°. Lengths do not matter."""
    vectors = np.array([[2, 0], [0.5, np.sqrt(0.75)], [0, 7]])
    assert mean_cosine(vectors) == pytest.approx((0.5 + 0 + np.sqrt(0.75)) / 3)


def test_the_mean_cosine_is_over_all_pairs():
    vectors = cloud()
    above = np.triu_indices(len(vectors), k=1)
    assert mean_cosine(vectors) == pytest.approx(cosine_similarity(vectors)[above].mean(), abs=1e-6)


def test_a_mean_without_pairs_is_nan():
    assert np.isnan(mean_cosine(cloud(1)))


def test_effective_rank_counts_equal_directions_and_discounts_weak_ones():
    cross = np.concatenate([np.eye(5), -np.eye(5)])
    assert effective_rank(cross + 3) == pytest.approx(5)
    assert effective_rank(cross[:, :1] * np.ones(4)) == pytest.approx(1)
    p = np.array([0.8, 0.2])
    uneven = np.concatenate([np.diag(np.sqrt(p)), -np.diag(np.sqrt(p))])
    assert effective_rank(uneven) == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_effective_rank_follows_from_numpys_covariance():
    vectors = cloud().astype(np.float64)
    values = np.linalg.eigvalsh(np.cov(vectors, rowvar=False))
    shares = values / values.sum()
    assert effective_rank(vectors) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_equal_rows_have_no_rank():
    assert effective_rank(np.full((7, 3), 0.1, np.float32)) == 0


def test_pca_is_scikit_learns_but_for_signs_and_its_own_are_fixed():
    vectors = cloud()
    ours = pca(vectors, 3)
    reference = PCA(3, svd_solver="full").fit(vectors.astype(np.float64))
    theirs = reference.transform(vectors.astype(np.float64))
    assert np.abs(ours) == pytest.approx(np.abs(theirs), abs=1e-9)
    axes = np.linalg.lstsq(ours, vectors - vectors.mean(axis=0), rcond=None)[0]
    assert (axes[np.arange(3), np.abs(axes).argmax(axis=1)] > 0).all()
    assert pca(-vectors, 3) == pytest.approx(-ours, abs=1e-4)


def test_pca_of_fewer_points_than_axes_has_empty_axes():
    points = pca(np.array([[0.0, 0], [0, 2]]), 3)
    assert points == pytest.approx(np.array([[0, -1, 0], [0, 1, 0]])[:, [1, 0, 2]])


@pytest.mark.parametrize("dims", [2, 3])
def test_tsne_keeps_neighbours_and_repeats_itself(dims):
    vectors, labels = clumps()
    first, again = (tsne(vectors, dims, seed=3, perplexity=10) for _ in range(2))
    assert (first.points == again.points).all()
    assert first.perplexity == 10
    assert trustworthiness(vectors, first.points) > 0.75
    apart = np.linalg.norm(first.points[:, None] - first.points, axis=2) + 1e9 * np.eye(len(labels))
    assert np.mean(labels[apart.argmin(axis=1)] == labels) > 0.9


def test_tsne_is_scikit_learns_from_the_same_start():
    vectors, _ = clumps()
    theirs = TSNE(2, perplexity=10, init="pca", random_state=0).fit(vectors)
    ours = tsne(vectors, 2, seed=0, perplexity=10)
    assert trustworthiness(vectors, ours.points) == pytest.approx(
        trustworthiness(vectors, theirs.embedding_), abs=0.02
    )


def test_perplexity_is_lowered_for_few_points_and_said():
    assert tsne(cloud(7), 2, seed=0).perplexity == 2
    assert np.isfinite(tsne(np.ones((4, 2)), 3, seed=0).points).all()
    with pytest.raises(ValueError, match="too few"):
        tsne(cloud(3), 2, seed=0)


def test_distances_between_an_identitys_sources_by_hand():
    vectors = np.array([[1, 0], [5, 0], [0, 3], [1, 0], [0, 1]])
    found = cluster_distances(
        vectors,
        np.array(["ann", "ann", "ann", "bob", "bob"]),
        np.array(["original", "published", "recovered", "published", "published"]),
    )
    assert found.identities.tolist() == ["ann", "bob"]
    assert found.sources.tolist() == ["original", "published", "recovered"]
    assert found.distances[0] == pytest.approx(np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]]))
    assert found.distances[1, 1, 1] == pytest.approx(0)
    assert np.isnan(found.distances[1, 0]).all()


def test_a_centroid_is_a_mean_of_directions():
    vectors = np.array([[100, 0], [0, 1], [1, 1]])
    found = cluster_distances(vectors, np.zeros(3), np.array(["a", "a", "b"]))
    assert found.distances[0, 0, 1] == pytest.approx(0)
