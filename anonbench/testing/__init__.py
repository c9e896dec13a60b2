"""The conformance suite that any method plug-in must pass: `anonbench test-method NAME`.

In a plug-in's own tests: `assert not failures(check_method("my-method"))`.
"""

from anonbench.testing.conformance import check_method, failures
from anonbench.testing.outcome import Check

__all__ = ["Check", "check_method", "failures"]
