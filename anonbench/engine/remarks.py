"""Remarks: what a method says about each image that it anonymizes, checked, and summed up."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import MethodCard
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
) -> NDArray[np.float64]:
    """A method's remarks `[number, R]` in the card's order; UserError where they break it."""
    told = {name: numbers.detach().cpu().double() for name, numbers in said.items()}
    wrong = [
        f"'{name}' {tuple(numbers.shape)}"
        for name, numbers in told.items()
        if numbers.shape != (number,) or not bool(numbers.isfinite().all())
    ]
    if wrong or told.keys() != card.remarks.keys():
        raise UserError(
            f"The method '{card.name}' remarked {', '.join(map(repr, told)) or 'nothing'} about "
            f"{number} crops; its card lists {', '.join(map(repr, card.remarks))}.",
            why=f"Not one finite number per crop: {', '.join(wrong)}." if wrong else "",
            mend=f"Mend the method; see: anonbench test-method {card.name}",
        )
    return np.stack([told[name].numpy() for name in card.remarks], axis=1)


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
