"""Ablation protocol: the variants of a method by a few metrics of other protocols."""

from anonbench_ablation.ablation import Ablation

__all__ = ["Ablation"]
