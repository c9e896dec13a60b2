"""The conformance suites that plug-ins must pass: `anonbench test-method`, `anonbench test-judge`.

In a plug-in's own tests: `assert not failures(check_method("my-method"))`, likewise `check_judge`.
"""

from anonbench.testing.conformance import check_method, failures
from anonbench.testing.judges import check_judge
from anonbench.testing.outcome import Check

__all__ = ["Check", "check_judge", "check_method", "failures"]
