"""The password that follows from a sample's key."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from anonbench_fit.networks import BITS, password_bits


def drawn_bits(keys: Sequence[bytes]) -> Tensor:
    """A password's bits `[B, 16]` (bool) for each key: the first ones of a SHA-256 of it.

    With so few, one in 65,536 wrong keys has the right password.
    """
    drawn = [hashlib.sha256(b"password of FIT\0" + key).digest()[: BITS // 8] for key in keys]
    return password_bits(torch.tensor([int.from_bytes(two, "big") for two in drawn]))
