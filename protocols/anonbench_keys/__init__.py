"""Protocols about the keys of reversible methods: what a wrong one gives."""

from anonbench_keys.sensitivity import KeySensitivity

__all__ = ["KeySensitivity"]
