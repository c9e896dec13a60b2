"""How a cloud of embeddings lies: cosines, effective rank, projections, distances of its parts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.verification import Floats, unit_vectors

Vectors = NDArray[np.floating]
Labels = NDArray[np.generic]

_SPREAD = 1e-4
"""Standard deviation of the first axis of a t-SNE's start, as in scikit-learn."""


class Tsne(NamedTuple):
    """A t-SNE map `[N, dims]`, and the perplexity that it was made with."""

    points: Floats
    perplexity: float


class Clusters(NamedTuple):
    """How far apart the sources of each identity are.

    Attributes:
        identities: `[I]`, sorted.
        sources: `[S]`, sorted.
        distances: `[I, S, S]` in `[0, 2]`; NaN for a source that an identity lacks.
    """

    identities: Labels
    sources: Labels
    distances: Floats


def pairwise_cosines(vectors: Vectors) -> Floats:
    """Cosines `[N, N]` between the rows of `[N, D]`; NaN for a row without a direction."""
    unit = unit_vectors(vectors)
    cosines: Floats = unit @ unit.T
    return cosines.clip(-1, 1)


def mean_cosine(vectors: Vectors) -> float:
    """Mean cosine of all pairs of the rows of `[N, D]`; NaN without a pair.

    It follows from the length of the sum of unit vectors, so memory grows with N and not with its
    square.

    Args:
        vectors: `[N, D]`, each row with a direction. Its pair with itself does not count.
    """
    number = len(vectors)
    if number < 2:
        return float("nan")
    length = np.square(unit_vectors(vectors).sum(axis=0)).sum()
    return float(np.clip((length - number) / (number * (number - 1)), -1, 1))


def effective_rank(vectors: Vectors) -> float:
    """In how many directions `[N, D]` rows vary, at most `min(N - 1, D)`.

    Roy and Vetterli, "The effective rank" (EUSIPCO 2007), of the covariance matrix: the
    exponential of the entropy of its eigenvalues over their sum. 0 where all rows are the same.
    """
    wide = vectors.astype(np.float64)
    lengths = np.linalg.svd(wide - wide.mean(axis=0), compute_uv=False)
    rounding = np.finfo(np.float64).eps * max(wide.shape) * np.linalg.norm(wide)
    variances = np.square(lengths[lengths > rounding])
    if not len(variances):
        return 0.0
    shares = variances / variances.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def pca(vectors: Vectors, dims: int) -> Floats:
    """The first principal components `[N, dims]` of `[N, D]` rows.

    Each axis points to where its largest loading is positive. Axes beyond `min(N, D)` are 0.
    """
    wide = vectors.astype(np.float64)
    u, lengths, axes = np.linalg.svd(wide - wide.mean(axis=0), full_matrices=False)
    largest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(len(axes)), largest])
    points = (u * lengths * signs)[:, :dims]
    return np.pad(points, ((0, 0), (0, dims - points.shape[1])))


def tsne(vectors: Vectors, dims: int, seed: int, perplexity: float = 30.0) -> Tsne:
    """A t-SNE map of `[N, D]` rows by scikit-learn, from its default settings and our `pca`.

    On one thread, so that the map is the same again on the same machine. Of scikit-learn's PCA
    start only the signs differ. The perplexity is lowered to `(N - 1) / 3`, which van der
    Maaten's own code demands at most.

    Args:
        vectors: `[N, D]`, at least four rows. Euclidean distances are compared: normalise the
            rows first where cosines matter.
        dims: 2 or 3.
        seed: `random_state`.
        perplexity: About the number of neighbours that a point attends to.

    Raises:
        ValueError: There are fewer than four rows.
    """
    if len(vectors) < 4:
        raise ValueError(f"{len(vectors)} points are too few for a t-SNE; it takes 4")
    from sklearn.manifold import TSNE  # takes a second to import
    from threadpoolctl import threadpool_limits

    used = min(perplexity, (len(vectors) - 1) / 3)
    start = pca(vectors, dims)
    spread = start[:, 0].std()
    start = start / spread * _SPREAD if spread > 0 else start
    model = TSNE(dims, perplexity=used, init=start.astype(np.float32), random_state=seed)
    with threadpool_limits(limits=1):
        points = model.fit_transform(vectors.astype(np.float64))
    return Tsne(points.astype(np.float64), float(used))


def cluster_distances(vectors: Vectors, identity: Labels, source: Labels) -> Clusters:
    """Cosine distance, per identity, between the centroids of every two sources.

    A centroid is the mean of unit vectors: long vectors do not count more than short ones.

    Args:
        vectors: `[N, D]`, each row with a direction.
        identity: `[N]` whose row it is.
        source: `[N]` where it comes from (`original`, `published`, `recovered`).
    """
    identities, row = np.unique(identity, return_inverse=True)
    sources, column = np.unique(source, return_inverse=True)
    sums = np.zeros((len(identities), len(sources), vectors.shape[1]))
    np.add.at(sums, (row, column), unit_vectors(vectors))
    centroids = np.stack([unit_vectors(each) for each in sums])
    # Half the squared distance of unit vectors: exactly 0 for equal ones.
    halves = np.square(centroids[:, :, None] - centroids[:, None]).sum(axis=-1) / 2
    return Clusters(identities, sources, halves.clip(0, 2))
