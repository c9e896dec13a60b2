"""Complexity protocol: sizes, arithmetic, time and memory of a method's networks."""

from anonbench_complexity.complexity import Complexity

__all__ = ["Complexity"]
