"""Count the impostor pairs of N random embeddings in a process of its own: seconds, peak MiB.

Run: python tests/bench/all_pairs.py 13000
On Linux. The peak comes from /proc: what `getrusage` says includes the parent's.
"""

import re
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anonbench.metrics.verification import Floats, all_impostor_counts, unit_vectors

PEOPLE, DIM = 5_700, 512


def embeddings(images: int) -> tuple[Floats, NDArray[np.int64]]:
    """Unit vectors `[N, D]` and the code of each one's person, in the proportions of LFW."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((images, DIM), dtype=np.float32)
    return unit_vectors(vectors), rng.integers(0, PEOPLE, images)


def main() -> None:
    vectors, people = embeddings(int(sys.argv[1]))
    start = time.perf_counter()
    all_impostor_counts(vectors, people)
    seconds = time.perf_counter() - start
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(seconds, int(peak[1]) / 1024)


if __name__ == "__main__":
    main()
