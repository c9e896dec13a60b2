"""Floats as the bits of their IEEE-754 binary32 pattern: the password that G²Face hides.

The most significant bit comes first: sign, 8 bits of exponent, 23 bits of mantissa. A pattern is
only ever reinterpreted, so that the round trip is exact for every value, NaN payloads included.
"""

from typing import Literal

import torch
from torch import Tensor

WIDTH = 32
LIMIT = 50.0

Guard = Literal["clamp50", "raw"]


def floats_to_bits(values: Tensor) -> Tensor:
    """Bits `[..., n, 32]` (bool) of float32 values `[..., n]`.

    Raises:
        TypeError: The values are not float32.
    """
    if values.dtype != torch.float32:
        raise TypeError(f"bits are those of float32, not of {values.dtype}")
    words = values.contiguous().view(torch.int32)[..., None]
    return (words >> _shifts(values.device)).bitwise_and(1).bool()


def bits_to_floats(bits: Tensor, guard: Guard) -> Tensor:
    """Float32 values `[..., n]` of bits `[..., n, 32]` (bool, or integers 0 and 1).

    Args:
        bits: The bits, most significant first.
        guard: `clamp50` applies `suppress_implausible`; `raw` gives what the bits say.
    """
    words = bits.to(torch.int32) << _shifts(bits.device)
    values = words.sum(dim=-1, dtype=torch.int32).view(torch.float32)
    return suppress_implausible(values) if guard == "clamp50" else values


def suppress_implausible(values: Tensor) -> Tensor:
    """Zero in place of what is beyond ±50 or NaN.

    A recogniser's features are of the order of one; a wrong bit in the exponent is not. The limit
    is that of G²Face's test script.
    """
    return torch.where(values.abs() <= LIMIT, values, torch.zeros_like(values))


def logits_to_bits(logits: Tensor) -> Tensor:
    """The bits (bool) that an extractor's logits stand for.

    The threshold is on the float32 probability, as in G²Face: logits up to about 1e-7 give 0.5
    and hence a 0.
    """
    return torch.sigmoid(logits.float()) > 0.5


def _shifts(device: torch.device) -> Tensor:
    return torch.arange(WIDTH - 1, -1, -1, dtype=torch.int32, device=device)
