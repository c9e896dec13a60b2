"""anonbench: the benchmark suite for face anonymization.

Importing this package is cheap on purpose: nothing here, in the registries, the cards or the
command line imports torch before a command computes.
"""

import os

# PyTorch reads this when it first allocates: large tensors then lie in pages of 2 MiB. On Linux
# CPUs, touching new memory in pages of 4 KiB takes up to half of a network's time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def __getattr__(name: str) -> str:
    """`__version__`, looked up when somebody asks: reading the metadata takes its time."""
    if name != "__version__":
        raise AttributeError(f"module 'anonbench' has no attribute '{name}'")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("anonbench")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
