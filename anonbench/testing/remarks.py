"""Checks of what a method says about each image, beside what `anonymize` returns."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.interfaces import Remarking
from anonbench.testing.outcome import NotConformingError, Rule
from anonbench.testing.randomness import isolated
from anonbench.testing.stages import TOLERANCE, Stage, difference

Said = Mapping[str, Tensor]


def remark_rules(card: MethodCard, method: Remarking, anonymize: Stage) -> list[Rule]:
    """All checks of remarks, about the batch on which `anonymize` was tried."""
    return [
        Rule("remarks: listed", partial(_listed, card, method, anonymize)),
        Rule("remarks: images", partial(_images, method, anonymize), after=("remarks: listed",)),
        Rule("remarks: batch", partial(_batch, method, anonymize), after=("remarks: listed",)),
    ]


def _ask(method: Remarking, stage: Stage, rows: slice = slice(None)) -> tuple[Tensor, Said]:
    with isolated(0), torch.no_grad():
        return method.anonymize_with_remarks(stage.images[rows].clone(), stage.keys[rows])


def _listed(card: MethodCard, method: Remarking, stage: Stage) -> str:
    """The names are those of the card, with one finite number per image each."""
    _, said = _ask(method, stage)
    if said.keys() != card.remarks.keys():
        raise NotConformingError(
            f"It remarked {_names(said)}. The card lists {_names(card.remarks)}: mend either."
        )
    wanted = (len(stage.images),)
    for name, numbers in said.items():
        if numbers.shape != wanted or not bool(numbers.isfinite().all()):
            raise NotConformingError(
                f"'{name}' is {tuple(numbers.shape)}, {numbers.tolist()}. Return one finite "
                f"number per image, {wanted}."
            )
    return _names(said)


def _images(method: Remarking, stage: Stage) -> str:
    """The images are those of `anonymize`."""
    images, _ = _ask(method, stage)
    found = difference(images, stage.trial.output)
    if found > TOLERANCE:
        raise NotConformingError(
            f"anonymize_with_remarks returned other images than anonymize (difference "
            f"{found:.3g}). Let one of them call the other."
        )
    return f"those of anonymize: difference {found:.2g}"


def _batch(method: Remarking, stage: Stage) -> str:
    """What is said about an image depends on nothing else in the batch."""
    _, together = _ask(method, stage)
    alone = [_ask(method, stage, slice(i, i + 1))[1] for i in range(len(stage.images))]
    found = {
        name: _relative(torch.cat([said[name] for said in alone]), numbers)
        for name, numbers in together.items()
    }
    wrong = [f"'{name}' by {by:.3g}" for name, by in found.items() if by > TOLERANCE]
    if wrong:
        raise NotConformingError(
            f"About an image alone it remarked something else than in a batch: {', '.join(wrong)}. "
            "Use nothing but the image and its own key."
        )
    return f"difference {max(found.values()):.2g}, allowed {TOLERANCE:g}"


def _relative(one: Tensor, other: Tensor) -> float:
    """The largest difference, of numbers beyond 1 in relation to them."""
    return difference(one, other) / max(1.0, float(other.double().abs().max()))


def _names(named: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in named) or "nothing"
