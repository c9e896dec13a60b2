"""Checks of the bits that a method hides, and of the numbers that a learned code makes of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.testing.outcome import NotConformingError, Rule


def hidden_bit_rules(
    card: MethodCard, method: Any, images: Tensor, published: Tensor
) -> list[Rule]:
    """All checks of hidden bits; of the numbers too, where the card says `learned`."""
    count = card.hidden_bits
    rules = [
        Rule("hidden bits: embedded", partial(_embedded, method, images, count)),
        Rule("hidden bits: extracted", partial(_extracted, method, published, count)),
    ]
    if card.hidden_format != "learned":
        return rules
    both = tuple(rule.name for rule in rules)
    return [
        *rules,
        Rule("hidden bits: numbers", partial(_numbers, method, images), after=both),
        Rule(
            "hidden bits: decoded",
            partial(_decoded, method, images, published),
            after=(*both, "hidden bits: numbers"),
        ),
    ]


def _ask(call: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
    with torch.no_grad():
        return call(given.clone())


def _embedded(method: Any, images: Tensor, count: int) -> str:
    bits = _ask(method.hidden_bits, images)
    if bits.shape != (len(images), count) or bits.dtype != torch.bool:
        raise NotConformingError(
            f"hidden_bits returned {tuple(bits.shape)} {bits.dtype}. Return [B, {count}] bool, "
            "as many as the card's hidden_bits."
        )
    return f"[B, {count}] bool"


def _extracted(method: Any, published: Tensor, count: int) -> str:
    logits = _ask(method.extract_bits, published)
    right = logits.shape == (len(published), count) and logits.is_floating_point()
    if not right or not bool(logits.isfinite().all()):
        raise NotConformingError(
            f"extract_bits returned {tuple(logits.shape)} {logits.dtype}. Return [B, {count}] "
            "finite floating-point logits, positive for 1, as many as the card's hidden_bits."
        )
    return f"[B, {count}] logits"


def _numbers(method: Any, images: Tensor) -> str:
    numbers = _ask(method.hidden_numbers, images)
    if numbers.ndim != 2 or len(numbers) != len(images) or not _are_floats(numbers):
        raise NotConformingError(
            f"hidden_numbers returned {tuple(numbers.shape)} {numbers.dtype}. Return [B, n] "
            "finite float32, the numbers that the hidden bits stand for."
        )
    return f"[B, {numbers.shape[1]}] float32"


def _decoded(method: Any, images: Tensor, published: Tensor) -> str:
    """Both the bits that were embedded and those that were read, right or wrong, stand for some."""
    wanted = _ask(method.hidden_numbers, images).shape
    embedded = _ask(method.hidden_bits, images)
    read = _ask(method.extract_bits, published) > 0
    for which, bits in (("embedded", embedded), ("extracted", read)):
        numbers = _ask(method.decode_bits, bits)
        if numbers.shape != wanted or not _are_floats(numbers):
            raise NotConformingError(
                f"decode_bits returned {tuple(numbers.shape)} {numbers.dtype} for {which} bits. "
                f"Return {tuple(wanted)} finite float32, as hidden_numbers does."
            )
    return f"[B, {wanted[1]}] float32"


def _are_floats(numbers: Tensor) -> bool:
    return numbers.dtype == torch.float32 and bool(numbers.isfinite().all())
