"""anonbench: the benchmark suite for face anonymization.

Importing this package is cheap on purpose: nothing here, in the registries, the cards or the
command line imports torch before a command computes.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("anonbench")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
