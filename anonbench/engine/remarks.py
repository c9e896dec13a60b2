"""Remarks: what a method says about each image that it anonymizes, checked, and summed up."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import MethodCard
from anonbench.engine import models
from anonbench.engine.store import Artefact
from anonbench.errors import UserError
from anonbench.results.record import Remark

if TYPE_CHECKING:
    import torch

COLUMN = "remarks"
"""Of stored rows: one number per name in the method's card, in the card's order."""

PERCENTILES = (2.5, 97.5)


def checked_remarks(
    card: MethodCard, said: "Mapping[str, torch.Tensor]", number: int
) -> "torch.Tensor":
    """A method's remarks `[number, R]` in the card's order; UserError where they break it."""
    import torch

    wrong = [f"'{n}' {tuple(told.shape)}" for n, told in said.items() if told.shape != (number,)]
    if wrong or said.keys() != card.remarks.keys():
        raise _broken(card, list(said), number, wrong)
    return torch.stack([said[name].detach().double() for name in card.remarks], dim=1)


def finite_remarks(card: MethodCard, told: NDArray[np.float64]) -> NDArray[np.float64]:
    """The remarks `[R]` about an image as they are; UserError where one is not finite."""
    wrong = [f"'{n}' {v}" for n, v in zip(card.remarks, told, strict=True) if not np.isfinite(v)]
    if wrong:
        raise _broken(card, list(card.remarks), 1, wrong)
    return told


def _broken(card: MethodCard, told: Sequence[str], number: int, wrong: Sequence[str]) -> UserError:
    said = (
        f"The method '{card.name}' remarked {', '.join(map(repr, told)) or 'nothing'} about "
        f"{number} crops; its card lists {', '.join(map(repr, card.remarks))}."
    )
    why = f"Not one finite number per crop: {', '.join(wrong)}." if wrong else ""
    return models.misbehaving(card, said, why)


def sum_up(card: MethodCard, published: Artefact, ids: Sequence[str]) -> tuple[Remark, ...]:
    """Each remark over those of some images that were published; nothing where none was."""
    failed = published.failed(ids)
    good = [i for i in ids if i not in failed]
    if not (card.remarks and good):
        return ()
    rows: list[Any] = [row[COLUMN] for row in published.read(good, only=COLUMN)]
    columns = np.stack(rows, axis=1)
    return tuple(
        _summary(name, says, numbers)
        for (name, says), numbers in zip(card.remarks.items(), columns, strict=True)
    )


def _summary(name: str, says: str, numbers: NDArray[np.float64]) -> Remark:
    low, high = np.percentile(numbers, PERCENTILES)
    return Remark(
        name=name,
        says=says,
        images=len(numbers),
        mean=float(numbers.mean()),
        low=float(low),
        high=float(high),
        min=float(numbers.min()),
        max=float(numbers.max()),
    )
