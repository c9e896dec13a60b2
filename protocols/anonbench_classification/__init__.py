"""Classification protocols: whether a face classifier tells people apart after anonymization."""

from anonbench_classification.accuracy import CasiaAccuracy

__all__ = ["CasiaAccuracy"]
