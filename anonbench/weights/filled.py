"""Weights that were drawn by rule, to test networks with, are told from trained ones.

A tensor of `anonbench.testing.fill` follows from its key and a seed but for its mean and its
spread, so it is known by its correlation with the numbers drawn for that key. Nothing has to be
remembered about where a file came from, and a result computed with such weights can always say so.
"""

import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STAMP = "test fill"
"""Put before the digest of such weights wherever a record names them."""

SEEDS = range(8)
"""Seeds that are tried; the parity kit uses 0."""

_TENSORS, _LEAST, _MOST = 3, 100, 300_000
"""How many tensors are looked at, and how many numbers one has."""


def is_filled(file: Path) -> bool:
    """Whether the first tensors of a safetensors file are drawn by rule; False for other files."""
    if file.suffix != ".safetensors":
        return False
    state = file.stat()
    return _is_filled(file, state.st_size, state.st_mtime_ns)


@cache
def _is_filled(file: Path, size: int, modified: int) -> bool:
    from safetensors import SafetensorError

    try:
        return any(_is_drawn(key, values) for key, values in _samples(file))
    except SafetensorError:  # whoever reads it as weights says what is wrong with it
        return False


def _samples(file: Path) -> "Iterator[tuple[str, NDArray[np.float64]]]":
    import numpy as np
    from safetensors import safe_open

    taken = 0
    with safe_open(file, framework="numpy") as tensors:
        for key in tensors.keys():  # noqa: SIM118 (not a dict)
            entry = tensors.get_slice(key)
            number = int(np.prod(entry.get_shape()))
            if entry.get_dtype() in ("F32", "F16") and _LEAST <= number <= _MOST:
                yield key, np.asarray(tensors.get_tensor(key), np.float64).ravel()
                taken += 1
            if taken == _TENSORS:
                return


def _is_drawn(key: str, values: "NDArray[np.float64]") -> bool:
    """Whether values are those drawn for a key, or for the key without some first parts."""
    import numpy as np

    spread = values.std()
    if spread == 0:
        return False
    parts = key.split(".")
    centred = (values - values.mean()) / spread
    for start in range(len(parts)):
        name = ".".join(parts[start:])
        for seed in SEEDS:
            drawn = np.random.default_rng(zlib.crc32(f"{seed}:{name}".encode())).random(len(values))
            if np.dot(centred, (drawn - drawn.mean()) / drawn.std()) > 0.99 * len(values):
                return True
    return False
