"""Hidden bits against the bits that were read: wrong bits, and wrong numbers that they stand for.

Bits are packed as `numpy.packbits` does it: `[N, ceil(bits / 8)]` bytes, the first bit of each
byte highest. Where they stand for float32 numbers, each has 32 bits: sign, 8 of the exponent, 23 of
the mantissa, most significant first; `floats` unpacks them. The numbers of another code come as
they are, `[N, n]`. A wrong bit high in the exponent makes a number of 1e38, or none at all, so an
error of such numbers needs a guard:

- `raw` leaves all as it was read.
- `clamp50` puts 0 in place of what is beyond ±50 or no number, as G²Face's test script does.
- `project` puts 0 in place of what is not finite, and then scales a vector that is too long back
  onto the ball of radius 2 √n for n numbers. Hidden identities are features of about N(0, 1), whose
  vectors are about √n long (for n = 512 within 0.7 of it), so twice that changes no true one; it is
  known to a recipient; and it bounds the squared error of an image by (2 + 1)² = 9, whatever was
  read.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Packed = NDArray[np.uint8]
Numbers = NDArray[np.float32]
Floats = NDArray[np.float64]
Guard = Literal["raw", "clamp50", "project"]

WIDTH = 32
LIMIT = 50.0
RADIUS = 2.0
"""Of the ball, in √n."""


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


def floats(packed: Packed) -> Numbers:
    """The numbers `[N, n]` whose float32 patterns are packed, which need not be finite."""
    return np.ascontiguousarray(packed).view(">f4").astype(np.float32)


def guarded(numbers: Numbers, guard: Guard) -> Floats:
    """Numbers `[N, n]` behind a guard; behind `raw` they need not be finite."""
    with np.errstate(invalid="ignore"):  # of patterns that say signalling NaN
        values = numbers.astype(np.float64)
    if guard == "clamp50":
        return np.where(np.abs(values) <= LIMIT, values, 0.0)
    if guard == "project":
        finite = np.where(np.isfinite(values), values, 0.0)
        radius = RADIUS * math.sqrt(values.shape[1])
        return finite * (radius / np.maximum(_lengths(finite), radius))[:, None]
    return values


def not_finite(read: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of each image's numbers are no number, and how many infinite; each `[N]`."""
    return np.isnan(read).sum(axis=1), np.isinf(read).sum(axis=1)


def beyond_ball(hidden: Numbers) -> NDArray[np.bool_]:
    """`[N]` images whose hidden numbers the guard `project` would have changed."""
    values = guarded(hidden, "raw")
    outside: NDArray[np.bool_] = ~(_lengths(values) <= RADIUS * math.sqrt(values.shape[1]))
    return outside


def _lengths(values: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(values, axis=1)
    return lengths


def float_errors(hidden: Numbers, read: Numbers, guard: Guard) -> Floats:
    """Mean squared error of each image's numbers, `[N]`; not finite where a read one is not.

    The guard is for what was read; what was hidden is taken as it is.
    """
    with np.errstate(invalid="ignore"):
        errors: Floats = np.square(guarded(read, guard) - guarded(hidden, "raw")).mean(axis=1)
    return errors


def float_cosines(hidden: Numbers, read: Numbers, guard: Guard) -> Floats:
    """Cosine between the hidden and the read numbers of each image, `[N]`.

    NaN where one has no direction: all zero, or not finite.
    """
    a, b = guarded(hidden, "raw"), guarded(read, guard)
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = _lengths(a) * _lengths(b)
        cosines: Floats = (a * b).sum(axis=1) / lengths
    return cosines
