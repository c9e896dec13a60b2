"""Maps of embeddings in few dimensions."""

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.embedding import Tsne, tsne
from anonbench.metrics.verification import unit_vectors
from anonbench_similarity.options import MappingOptions

LEAST = 4
"""Points without which there is no t-SNE."""


def cosine_tsne(vectors: NDArray[np.floating], dims: int, options: MappingOptions) -> Tsne | None:
    """A t-SNE of `[N, D]` vectors by their directions; None of fewer than four."""
    if len(vectors) < LEAST:
        return None
    return tsne(unit_vectors(vectors), dims, options.seed, options.perplexity)
