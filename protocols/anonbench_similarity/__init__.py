"""Similarity protocols: how near the identities of anonymized and recovered faces are."""

from anonbench_similarity.similarity import Similarity

__all__ = ["Similarity"]
