"""Utility protocol: what an anonymized face keeps besides its identity."""

from anonbench_utility.utility import Utility

__all__ = ["Utility"]
