"""Checks of recovery with single bits of a password wrong."""

from functools import partial

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.interfaces import TakesWrongBits
from anonbench.testing.outcome import NotConformingError, Rule
from anonbench.testing.randomness import isolated
from anonbench.testing.stages import TOLERANCE, Stage, difference


def wrong_bit_rules(card: MethodCard, method: TakesWrongBits, recovery: Stage) -> list[Rule]:
    """All checks of wrong bits, about the batch on which recovery was tried."""
    none, own = "wrong bits: none", "wrong bits: each its own"
    return [
        Rule(none, partial(_none, card, method, recovery)),
        Rule(own, partial(_own, card, method, recovery), after=(none,)),
    ]


def _ask(card: MethodCard, method: TakesWrongBits, stage: Stage, image: int | None) -> Tensor:
    """What comes out where all bits of one image's password are wrong, or none of any."""
    wrong = torch.zeros(len(stage.keys), card.password_bits, dtype=torch.bool)
    if image is not None:
        wrong[image] = True
    given = stage.images.clone()
    with isolated(0), torch.no_grad():
        return method.recover_with_wrong_bits(given, list(stage.keys), wrong.to(given.device))


def _none(card: MethodCard, method: TakesWrongBits, stage: Stage) -> str:
    """Without a wrong bit it is the right recovery."""
    found = difference(_ask(card, method, stage, None), stage.trial.output)
    if found > TOLERANCE:
        raise NotConformingError(
            f"recover_with_wrong_bits without a wrong bit returned something else than "
            f"{stage.name} (difference {found:.3g}). Let one of them call the other."
        )
    return f"as {stage.name}: difference {found:.2g}"


def _own(card: MethodCard, method: TakesWrongBits, stage: Stage) -> str:
    """Wrong bits change the image that they belong to, and no other."""
    right = stage.trial.output
    for image in range(len(right)):
        output = _ask(card, method, stage, image)
        if output.shape != right.shape or not bool(((output >= 0) & (output <= 1)).all()):
            raise NotConformingError(
                f"recover_with_wrong_bits returned {tuple(output.shape)}, not all of it in "
                f"[0, 1]. Return {tuple(right.shape)}, as {stage.name} does."
            )
        moved = (output - right).abs().amax(dim=(1, 2, 3)) > TOLERANCE
        if moved.nonzero().flatten().tolist() != [image]:
            raise NotConformingError(
                f"With all {card.password_bits} bits of image {image} wrong, the images "
                f"{moved.nonzero().flatten().tolist()} changed. Invert wrong[i] in the password "
                "of image i alone."
            )
    return f"all {card.password_bits} bits of an image wrong: it changes, and no other"
