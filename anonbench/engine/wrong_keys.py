"""Wrong keys, and passwords of which some bits are wrong; all of them follow from the right key."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from anonbench.values import Source, sample_key

WRONG_KEYS: dict[Source, int] = {"misrecovered": 1, "misrecovered-again": 2}
"""Sources of images that were recovered with wrong keys, and the number of the key."""


def recipient_key(seed: int, sample_id: str, wrong: int = 0) -> bytes:
    """The 32-byte key with which a recipient recovers.

    A method that makes few bits of a key may draw the right password even from a wrong one: of 16
    bits in one of 65,536 images.

    Args:
        seed: The seed with which the image was published.
        sample_id: The image.
        wrong: Number of a wrong key, from 1; 0 for the right one.
    """
    right = sample_key(seed, sample_id)
    return hashlib.sha256(b"wrong key %d\n" % wrong + right).digest() if wrong else right


def wrong_counts(bits: int) -> tuple[int, ...]:
    """How many bits of a password are taken wrong: 1, 2, 4 and so on, and all of them."""
    return (*(1 << power for power in range((bits - 1).bit_length())), bits)


def wrong_places(key: bytes, bits: int, count: int) -> NDArray[np.bool_]:
    """Which bits `[bits]` of an image's password are taken wrong, drawn by its key.

    Those of a smaller count are among those of a larger one.
    """
    drawn = [hashlib.sha256(b"wrong bit %d\n" % place + key).digest() for place in range(bits)]
    chosen = sorted(range(bits), key=drawn.__getitem__)[:count]
    return np.isin(np.arange(bits), chosen)
