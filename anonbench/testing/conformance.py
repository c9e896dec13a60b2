"""The conformance suite: what any method plug-in must fulfil before its numbers mean anything.

It needs no data: the inputs are synthetic faces. It proves that a method keeps its promises to
the suite, not that it anonymizes; that is what protocols measure. One thing it cannot see: a
`recover` that reads originals from a place outside the object, such as a file or a module.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from torch import Tensor

from anonbench import registry
from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.engine.channel import to_uint8
from anonbench.engine.models import resolve_device
from anonbench.engine.steps import to_tensor
from anonbench.errors import UserError
from anonbench.interfaces import (
    DecodesPassword,
    HidesPassword,
    KeepsLatent,
    Method,
    Remarking,
    ReversibleMethod,
    TakesWrongBits,
)
from anonbench.testing.card_rules import (
    has_its_card,
    template_is_known,
    texts_are_filled_in,
    weights_are_known,
)
from anonbench.testing.hidden_bits import hidden_bit_rules
from anonbench.testing.inputs import synthetic_faces
from anonbench.testing.latents import Keeping, latent_rules
from anonbench.testing.outcome import Check, NotConformingError, Rule, run_rules
from anonbench.testing.randomness import isolated
from anonbench.testing.remarks import remark_rules
from anonbench.testing.stages import TOLERANCE, KeyEffect, Stage, difference, stage_rules
from anonbench.testing.wrong_bits import wrong_bit_rules
from anonbench.values import sample_key

BATCH = 3
UNKNOWN_TEMPLATE_SIZE = 256


@dataclass
class Subject:
    """The method under test."""

    card: MethodCard
    attribute: Callable[[MethodCard, str], Any]
    device: str
    size: int

    def build(self) -> Any:
        """A new object of it, the global random number generators left alone."""
        with isolated(0):
            return self.attribute(self.card, self.device)

    @cached_property
    def method(self) -> Any:
        """The object that anonymizes."""
        return self.build()


def check_method(spec: str, device: str = "cpu", size: int | None = None) -> list[Check]:
    """Try a registered method on synthetic faces.

    Args:
        spec: `NAME` or `NAME:key=value`.
        device: Where to run it: `cpu`, `cuda`, `cuda:1`, `mps`.
        size: Crop size in pixels; the size of the card's template where None.

    Returns:
        All checks, also those that were skipped.

    Raises:
        UserError: The method is unknown, or it cannot be built here at all, because its card,
            its config, its weights or a dependency of it is not in order.
    """
    card = registry.methods.parse(spec)
    attribute, place = registry.methods.load(spec.split(":")[0]), resolve_device(device)
    subject = Subject(card, attribute, place, size or _template_size(card))
    checks = run_rules(_card_rules(subject))
    if not checks[-1].passed:
        return [*checks, _skip("anonymize", f"'{checks[-1].name}' must pass first")]
    anonymize = _anonymize_stage(subject)
    of_anonymize = run_rules(stage_rules(anonymize))
    checks += of_anonymize
    if failures(of_anonymize):
        reason = "'anonymize' must pass first"
        return checks + [_skip(name, reason) for name in ("recover", "hidden bits", "remarks")]
    published = publish(anonymize.trial.output)
    checks += _check_recovery(subject, anonymize, published)
    checks += _check_hidden_bits(subject, anonymize.images, published)
    return checks + _check_remarks(subject, anonymize)


def failures(checks: list[Check]) -> list[Check]:
    """The checks that failed; a skipped check is none of them."""
    return [check for check in checks if check.status == "failed"]


def publish(output: Tensor) -> Tensor:
    """What a recipient has of a method's output: the 8-bit pixels of a lossless file."""
    arrays = output.permute(0, 2, 3, 1).cpu().numpy()
    return to_tensor([to_uint8(array) for array in arrays]).to(output.device)


def _skip(name: str, reason: str) -> Check:
    return Check(name, False, skipped=reason)


def _template_size(card: MethodCard) -> int:
    """The crop size; where the template is unknown, which is a failure, one to go on with."""
    try:
        return template(card.template).size
    except UserError:
        return UNKNOWN_TEMPLATE_SIZE


# ----------------------------------------------------------------------------- card and object
def _card_rules(subject: Subject) -> list[Rule]:
    return [
        Rule("card: complete", partial(_card_complete, subject.card)),
        Rule("card: template", partial(_card_template, subject.card)),
        Rule("card: weights", partial(_card_weights, subject.card)),
        Rule("object: built", partial(_built, subject)),
        Rule("object: abilities", partial(_abilities, subject), after=("object: built",)),
    ]


def _card_complete(card: MethodCard) -> str:
    texts = {"title": card.title, "summary": card.summary, "licence": card.licence}
    texts["citation or paper"] = card.citation + card.paper
    texts_are_filled_in(texts)
    return "title, summary, licence, source"


def _card_template(card: MethodCard) -> str:
    return template_is_known(card.template)


def _card_weights(card: MethodCard) -> str:
    weights_are_known(card.weights)
    return ", ".join(card.weights) or "none needed"


def _built(subject: Subject) -> str:
    has_its_card(subject.method, subject.card)
    return type(subject.method).__name__


def _abilities(subject: Subject) -> str:
    """The object has the methods that its card promises, and no others.

    Only what the card of a sibling may promise may be there unused: a code of its own, where a
    checkpoint hides float32 instead, latents, and wrong bits.
    """
    card = subject.card
    promises = [
        (Method, "anonymize", True),
        (Remarking, "anonymize_with_remarks", bool(card.remarks)),
        (ReversibleMethod, "recover", card.reversible),
        (HidesPassword, "hidden_bits and extract_bits", card.hidden_bits > 0),
    ]
    if card.hidden_format == "learned":
        promises.append((DecodesPassword, "hidden_numbers and decode_bits", True))
    if card.needs_latent:
        promises.append((KeepsLatent, "anonymize_with_latent and recover_from_latent", True))
    if card.password_bits:
        promises.append((TakesWrongBits, "recover_with_wrong_bits", True))
    for kind, names, wanted in promises:
        if isinstance(subject.method, kind) != wanted:
            raise NotConformingError(
                f"The card says reversible = {str(card.reversible).lower()}, hidden_bits = "
                f"{card.hidden_bits}, hidden_format = '{card.hidden_format}', "
                f"{len(card.remarks)} remarks, needs_latent = {str(card.needs_latent).lower()}, "
                f"password_bits = {card.password_bits}, but the object has "
                f"{'no' if wanted else 'a'} {names}. Mend the card or the class."
            )
    return "; ".join(names for _, names, wanted in promises if wanted)


# ------------------------------------------------------------------------------------- stages
def _anonymize_stage(subject: Subject) -> Stage:
    effect: KeyEffect = "none" if subject.card.key == "none" else "change"
    images = synthetic_faces(BATCH, subject.size).to(subject.device)
    call, shape = subject.method.anonymize, tuple(images.shape)
    return Stage("anonymize", call, images, _keys(0), _keys(1), effect, shape)


def _keys(seed: int) -> list[bytes]:
    return [sample_key(seed, f"synthetic/{index}") for index in range(BATCH)]


def _check_recovery(subject: Subject, anonymize: Stage, published: Tensor) -> list[Check]:
    """From published images, then from what the card says besides: latents, wrong bits."""
    if not subject.card.reversible:
        return [_skip("recover", "the card says reversible = false")]
    recovery = _recovery_stage(subject, "recover", published, anonymize.shape)
    checks = _check_recover(recovery, subject.method, anonymize.again)
    if subject.card.needs_latent:
        keeping = Keeping(subject.method, anonymize)
        kept = run_rules(latent_rules(keeping))
        checks += kept
        if failures(kept):
            return [*checks, _skip("recover_from_latent", f"'{failures(kept)[0].name}' failed")]
        latents = keeping.kept[1]
        recovery = _recovery_stage(subject, "recover_from_latent", latents, anonymize.shape)
        checks += _check_recover(recovery, subject.method, keeping.ask)
    if subject.card.password_bits and not failures(checks):
        checks += run_rules(wrong_bit_rules(subject.card, subject.method, recovery))
    return checks


def _recovery_stage(subject: Subject, name: str, given: Tensor, shape: tuple[int, ...]) -> Stage:
    """A call of a new object's, by its name."""
    effects: dict[str, KeyEffect] = {"none": "none", "seed": "", "password": "change"}
    effect, call = effects[subject.card.key], getattr(subject.build(), name)
    return Stage(name, call, given, _keys(0), _keys(1), effect, shape)


def _check_recover(stage: Stage, insider: Any, again: Callable[[], object]) -> list[Check]:
    """All checks of a stage that recovers.

    Args:
        stage: With a call of a new object's.
        insider: The object that anonymized.
        again: Lets that object anonymize the batch once more.
    """
    name = f"{stage.name}: honest"
    honest = run_rules([Rule(name, partial(_honest, stage, insider, again))])
    if failures(honest):
        return [*honest, _skip(stage.name, f"'{name}' must pass first")]
    return honest + run_rules(stage_rules(stage))


def _honest(stage: Stage, insider: Any, again: Callable[[], object]) -> str:
    """An object that never saw the originals recovers what the anonymizing object recovers."""
    again()  # so that an object that remembers only its last batch still has these originals
    known = replace(stage, call=getattr(insider, stage.name)).trial.output
    try:
        found = difference(stage.trial.output, known)
    except Exception as error:
        raise NotConformingError(
            f"A new object raised {type(error).__name__}: {error} Let {stage.name} use nothing "
            "but what it is given, the keys and the weights."
        ) from error
    if found > TOLERANCE:
        raise NotConformingError(
            f"A new object recovers another image than the one that anonymized (difference "
            f"{found:.3g}). Keep nothing of the originals in the object: {stage.name} may use "
            "only what it is given, the keys and the weights."
        )
    return f"from what is given and keys in a new object: difference {found:.2g}"


# --------------------------------------------------------------------- hidden bits and remarks
def _check_hidden_bits(subject: Subject, images: Tensor, published: Tensor) -> list[Check]:
    if not subject.card.hidden_bits:
        return [_skip("hidden bits", "the card says hidden_bits = 0")]
    return run_rules(hidden_bit_rules(subject.card, subject.method, images, published))


def _check_remarks(subject: Subject, anonymize: Stage) -> list[Check]:
    if not subject.card.remarks:
        return [_skip("remarks", "the card lists none")]
    return run_rules(remark_rules(subject.card, subject.method, anonymize))
