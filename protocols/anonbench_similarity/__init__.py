"""Similarity protocols: how near the identities of anonymized and recovered faces are."""

from anonbench_similarity.diversity import Diversity
from anonbench_similarity.identity_map import IdentityMap
from anonbench_similarity.similarity import Similarity

__all__ = ["Diversity", "IdentityMap", "Similarity"]
