"""Hidden bits against the bits that were read: wrong bits, and wrong numbers that they stand for.

Bits are packed as `numpy.packbits` does it: `[N, ceil(bits / 8)]` bytes, the first bit of each
byte highest. Where they stand for float32 numbers, each has 32 bits: sign, 8 of the exponent, 23 of
the mantissa, most significant first. A wrong bit high in the exponent makes a number of 1e38, or
none at all, so an error of such numbers needs a guard: `clamp50` puts 0 in place of what is beyond
±50 or no number, as G²Face's test script does; `raw` leaves all as it was read.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Packed = NDArray[np.uint8]
Floats = NDArray[np.float64]
Guard = Literal["clamp50", "raw"]

WIDTH = 32
LIMIT = 50.0


def bit_errors(embedded: Packed, read: Packed) -> NDArray[np.int64]:
    """Wrong bits of each of N images, `[N]`."""
    wrong = np.unpackbits(embedded ^ read, axis=1)
    errors: NDArray[np.int64] = wrong.sum(axis=1, dtype=np.int64)
    return errors


def errors_by_position(embedded: Packed, read: Packed) -> NDArray[np.int64]:
    """Wrong bits at each of the 32 positions of a float, `[32]`, over all floats and images."""
    wrong = np.unpackbits(embedded ^ read, axis=1).reshape(-1, WIDTH)
    errors: NDArray[np.int64] = wrong.sum(axis=0, dtype=np.int64)
    return errors


def floats(packed: Packed, guard: Guard = "raw") -> Floats:
    """The numbers `[N, n]` that bits stand for, which `raw` need not be finite."""
    values = np.ascontiguousarray(packed).view(">f4").astype(np.float64)
    if guard == "raw":
        return values
    plausible = np.abs(values) <= LIMIT
    return np.where(plausible, values, 0.0)


def float_errors(embedded: Packed, read: Packed, guard: Guard) -> Floats:
    """Mean squared error of each image's numbers, `[N]`; not finite where a read one is not.

    The guard is for what was read; what was embedded is taken as it is.
    """
    with np.errstate(invalid="ignore"):
        errors: Floats = np.square(floats(read, guard) - floats(embedded)).mean(axis=1)
    return errors


def float_cosines(embedded: Packed, read: Packed, guard: Guard) -> Floats:
    """Cosine between the embedded and the read numbers of each image, `[N]`.

    NaN where one has no direction: all zero, or not finite.
    """
    a, b = floats(embedded), floats(read, guard)
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines: Floats = (a * b).sum(axis=1) / lengths
    return cosines
