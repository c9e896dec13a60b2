"""Bits hidden in images: asked of a method, checked, and packed for the store.

Those embedded are asked for in the very batch that is anonymized and stored beside its images:
bits of floats may differ in their last places where the same network runs in another batch, with
other threads or on another machine.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import MethodCard
from anonbench.engine import models
from anonbench.errors import UserError

if TYPE_CHECKING:
    import torch

COLUMN = "bits"
"""Of stored rows: bits eight to a byte, the first one highest."""

Columns = Mapping[str, NDArray[Any]]


def embedded(card: MethodCard, device: str, faces: "torch.Tensor") -> "dict[str, torch.Tensor]":
    """What a method hides in the images that it makes of crops `[B, 3, S, S]`.

    Returns:
        The bits as `bits`; where they stand for numbers by a code of the method's, also these as
        `numbers`, and what the code makes of the bits again as `decoded`.

    Raises:
        UserError: Something has another shape than it must have.
    """
    bits = models.hiding(card, device).hidden_bits(faces)
    told = {COLUMN: _checked_bits(card, bits, len(faces))}
    if card.hidden_format != "learned":
        return told
    method = models.decoding(card, device)
    numbers = {"numbers": method.hidden_numbers(faces), "decoded": method.decode_bits(bits.bool())}
    return told | _checked_numbers(card, len(faces), numbers)


def read(card: MethodCard, device: str, crops: "torch.Tensor") -> "dict[str, torch.Tensor]":
    """What a method reads from published crops: logits as `bits`, what they stand for, likewise."""
    logits = models.hiding(card, device).extract_bits(crops)
    told = {COLUMN: _checked_bits(card, logits, len(crops))}
    if card.hidden_format != "learned":
        return told
    decoded = models.decoding(card, device).decode_bits(logits > 0)
    return told | _checked_numbers(card, len(crops), {"decoded": decoded})


def packed(card: MethodCard, told: Columns) -> dict[str, NDArray[Any]]:
    """The columns of one image, of which positive bits or logits are 1."""
    if not np.isfinite(told[COLUMN]).all():
        raise _wrong_bits(card, "some that are not finite")
    numbers = {name: told[name] for name in ("numbers", "decoded") if name in told}
    return {COLUMN: np.packbits(told[COLUMN] > 0), **numbers}


def finite_numbers(card: MethodCard, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The columns of an image as they are; UserError where a hidden number is not finite."""
    if not all(np.isfinite(column).all() for column in columns.values()):
        raise models.misbehaving(
            card,
            f"The method '{card.name}' hides numbers that are not finite, or decodes its own bits "
            "to such.",
        )
    return columns


def _checked_bits(card: MethodCard, bits: "torch.Tensor", number: int) -> "torch.Tensor":
    if bits.shape != (number, card.hidden_bits):
        raise _wrong_bits(card, f"{tuple(bits.shape)} for {number} images")
    return bits


def _checked_numbers(
    card: MethodCard, number: int, numbers: "Mapping[str, torch.Tensor]"
) -> "dict[str, torch.Tensor]":
    """As float32; UserError where they are not `[number, n]`, the same n."""
    shapes = {name: tuple(values.shape) for name, values in numbers.items()}
    one = next(iter(shapes.values()))
    if len(one) != 2 or one[0] != number or set(shapes.values()) != {one}:
        raise models.misbehaving(
            card,
            f"The method '{card.name}' returned {shapes} for {number} images: hidden_numbers "
            f"and decode_bits must both return ({number}, n).",
        )
    return {name: values.float() for name, values in numbers.items()}


def _wrong_bits(card: MethodCard, returned: str) -> UserError:
    return models.misbehaving(
        card,
        f"The method '{card.name}' returned {returned} instead of {card.hidden_bits} bits or "
        "logits for each image.",
    )
