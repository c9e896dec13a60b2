"""Face verification protocols: the true accept rate that is left after anonymization."""

from anonbench_verification.all_pairs import LfwTarAllPairs
from anonbench_verification.lfw_tar import LfwTar

__all__ = ["LfwTar", "LfwTarAllPairs"]
