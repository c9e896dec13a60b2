"""The conformance suite for judges: what any judge plug-in must fulfil before it may measure.

It needs no data: a judge is shown synthetic faces. It proves that a judge keeps its promises to
the suite, not that it measures well; that is what `anonbench run --method identity` shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import inf, isinf
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench import registry
from anonbench.cards import JudgeCard
from anonbench.data.align import template
from anonbench.engine.channel import to_uint8
from anonbench.engine.models import resolve_device
from anonbench.testing.card_rules import (
    has_its_card,
    template_is_known,
    texts_are_filled_in,
    weights_are_known,
)
from anonbench.testing.conformance import publish
from anonbench.testing.inputs import synthetic_faces
from anonbench.testing.outcome import Check, NotApplicableError, NotConformingError, Rule, run_rules
from anonbench.testing.randomness import isolated
from anonbench.values import Face

BATCH = 3
SIZE = 256
"""Side in pixels of what is shown to a judge without a template."""

TOLERANCE = 1e-3
"""Largest difference, as a share of the largest number, of two answers that count as equal."""

ABILITIES = {"recognition": "embed", "perceptual": "distance", "detection": "detect"}
DESCRIBES = "describe"
EMBEDDING, DISTANCE = "embedding", "distance"

Answer = Mapping[str, Tensor]


@dataclass
class Subject:
    """The judge under test, and what it is shown."""

    card: JudgeCard
    attribute: Callable[[JudgeCard, str], Any] = field(repr=False)
    device: str

    @cached_property
    def judge(self) -> Any:
        """The object, the global random number generators left alone."""
        with isolated(0):
            return self.attribute(self.card, self.device)

    @property
    def ability(self) -> str:
        """The function that a judge of its kind has."""
        return ABILITIES.get(self.card.kind, DESCRIBES)

    @cached_property
    def images(self) -> Tensor:
        """`[B, 3, S, S]` crops as decoded from files."""
        size = template(self.card.template).size if self.card.template else SIZE
        return publish(synthetic_faces(BATCH, size)).to(self.device)

    @cached_property
    def expected(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor of an answer about `B` images."""
        if self.card.kind == "recognition":
            return {EMBEDDING: (BATCH, self.card.dim)}
        if self.card.kind == "perceptual":
            return {DISTANCE: (BATCH,)}
        return {name: (BATCH, length) for name, length in self.card.traits.items()}

    def ask(self, images: Tensor, seed: int = 0) -> Answer:
        """What the judge says of images, as the engine asks, the global generators seeded.

        A perceptual judge is asked for the distance to their negatives.
        """
        with isolated(seed), torch.inference_mode():
            if self.card.kind == "recognition":
                return {EMBEDDING: self.judge.embed(images)}
            if self.card.kind == "perceptual":
                return {DISTANCE: self.judge.distance(images, 1 - images)}
            told: Answer = self.judge.describe(images)
            return told

    @cached_property
    def answer(self) -> Answer:
        """The answer that others are compared with."""
        return self.ask(self.images.clone())


def check_judge(spec: str, device: str = "cpu") -> list[Check]:
    """Try a registered judge on synthetic faces.

    Args:
        spec: `NAME` or `NAME:key=value`.
        device: Where to run it: `cpu`, `cuda`, `cuda:1`, `mps`.

    Returns:
        All checks, also those that were skipped.

    Raises:
        UserError: The judge is unknown, or it cannot be built here at all, because its card, its
            config, its weights or a dependency of it is not in order.
    """
    card = registry.judges.parse(spec)
    subject = Subject(card, registry.judges.load(card.name), resolve_device(device))
    about = run_rules(_card_rules(subject))
    if not about[-1].passed:
        skipped = f"'{about[-1].name}' must pass first"
        return [*about, Check(subject.ability, False, skipped=skipped)]
    rules = _detector_rules(subject) if card.kind == "detection" else _answer_rules(subject)
    return about + run_rules(rules)


# ----------------------------------------------------------------------------- card and object
def _card_rules(subject: Subject) -> list[Rule]:
    needed = ("card: kind", "card: template", "card: weights")
    return [
        Rule("card: complete", partial(_card_complete, subject.card)),
        Rule("card: kind", partial(_card_kind, subject.card)),
        Rule("card: template", partial(_card_template, subject.card)),
        Rule("card: weights", partial(_card_weights, subject.card)),
        Rule("object: built", partial(_built, subject), after=needed),
    ]


def _card_complete(card: JudgeCard) -> str:
    wanted = ("title", "summary", "licence", "citation", "training_data")
    texts_are_filled_in({name: str(getattr(card, name)) for name in wanted})
    return ", ".join(wanted)


def _card_kind(card: JudgeCard) -> str:
    """A recogniser has a length, a describing judge traits; a detector may have some."""
    if (card.dim > 0) != (card.kind == "recognition"):
        raise NotConformingError("'dim' is the length of a recogniser's embedding, else 0.")
    describes = card.kind not in ABILITIES
    if bool(card.traits) != describes and card.kind != "detection":
        must = "must say in 'traits' what it describes" if describes else "has no 'traits'"
        raise NotConformingError(f"A judge of the kind {card.kind} {must}.")
    return card.kind


def _card_template(card: JudgeCard) -> str:
    if card.kind == "recognition" and not card.template:
        raise NotConformingError("A recogniser needs a 'template', such as arcface-112.")
    if card.kind in ("detection", "perceptual") and card.template:
        raise NotConformingError(f"A judge of the kind {card.kind} aligns nothing: no 'template'.")
    if not card.template:
        return "none: it sees what it is given"
    return template_is_known(card.template)


def _card_weights(card: JudgeCard) -> str:
    weights_are_known(card.weights, ", or use 'packages' or 'file_config'")
    carried = (*card.weights, *card.packages, *card.file_config)
    return ", ".join(carried) or "none needed"


def _built(subject: Subject) -> str:
    has_its_card(subject.judge, subject.card)
    if not hasattr(subject.judge, subject.ability):
        raise NotConformingError(
            f"A judge of the kind {subject.card.kind} has a function {subject.ability}; see "
            "anonbench/interfaces.py."
        )
    return f"{type(subject.judge).__name__}, with {subject.ability}"


# ------------------------------------------------------------------------------------- answers
def _answer_rules(subject: Subject) -> list[Rule]:
    table: tuple[tuple[str, Callable[[Subject], str], tuple[str, ...]], ...] = (
        ("shape", _shape, ()),
        ("finite", _finite, ("shape",)),
        ("input kept", _input_kept, ("shape",)),
        ("repeatable", _repeatable, ("finite",)),
        ("batch", _batch, ("repeatable",)),
        ("tells apart", _tells_apart, ("repeatable",)),
    )
    return [
        Rule(
            f"{subject.ability}: {name}",
            partial(check, subject),
            tuple(f"{subject.ability}: {other}" for other in after),
        )
        for name, check, after in table
    ]


def _shape(subject: Subject) -> str:
    found = {name: tuple(values.shape) for name, values in subject.answer.items()}
    if found != subject.expected:
        raise NotConformingError(
            f"It gave {found} for {BATCH} images, where the card promises {subject.expected}. Mend "
            "the class, or dim and traits in the card."
        )
    return str(found)


def _finite(subject: Subject) -> str:
    """A describing judge may say NaN of a face that it does not see, then in all of its traits."""
    rows = [values.reshape(BATCH, -1) for values in subject.answer.values()]
    together = torch.cat(rows, dim=1)
    seen, blind = together.isfinite().all(1), together.isnan().all(1)
    if subject.ability != DESCRIBES and not seen.all():
        raise NotConformingError("Numbers must be finite. Look for a division by zero.")
    if not (seen | blind).all():
        raise NotConformingError("Where it sees no face, all traits of that row are NaN.")
    return f"{int(seen.sum())} of {BATCH} rows with numbers"


def _input_kept(subject: Subject) -> str:
    given = subject.images.clone()
    subject.ask(given)
    if not torch.equal(given, subject.images):
        raise NotConformingError("The images were changed in place. Work on a copy.")
    return "unchanged"


def _repeatable(subject: Subject) -> str:
    """The same again, in another state of the global random number generators."""
    found = _apart(subject.ask(subject.images.clone(), seed=1), subject.answer)
    if found > TOLERANCE:
        raise NotConformingError(
            f"A second look gave another answer (difference {found:.3g}). Draw nothing at random, "
            "keep nothing between calls, and call eval() on the networks."
        )
    return f"difference {found:.2g}"


def _batch(subject: Subject) -> str:
    """Alone and in reversed order, images are judged as in the batch."""
    each = [subject.ask(image[None].clone()) for image in subject.images.flip(0)][::-1]
    alone = {name: torch.cat([one[name] for one in each]) for name in subject.answer}
    found = _apart(alone, subject.answer)
    if found > TOLERANCE:
        raise NotConformingError(
            f"Alone an image was judged differently than in a batch (difference {found:.3g}). "
            "What is said of an image may depend on it alone: call eval() on the networks."
        )
    return f"difference {found:.2g}, allowed {TOLERANCE:g}"


def _tells_apart(subject: Subject) -> str:
    """Different images get different answers; from an image to itself there is no distance."""
    if all(values.isnan().all() for values in subject.answer.values()):
        raise NotApplicableError("it sees no face in a synthetic one")
    if DISTANCE in subject.expected:
        with torch.inference_mode():
            other: Answer = {DISTANCE: subject.judge.distance(subject.images, subject.images)}
    else:
        other = {name: values.roll(1, 0) for name, values in subject.answer.items()}
    found = _apart(other, subject.answer)
    if found <= TOLERANCE:
        raise NotConformingError(
            f"It says the same of different images (difference {found:.3g}). Images come in "
            "[0, 1]: convert them to what the network was trained on."
        )
    return "a face in some of them" if isinf(found) else f"difference {found:.2g}"


def _apart(one: Answer, other: Answer) -> float:
    """The largest difference as a share of the largest number; NaN equals NaN only."""
    first, second = (
        torch.cat([told[name].double().flatten() for name in other]) for told in (one, other)
    )
    if first.shape != second.shape or not torch.equal(first.isnan(), second.isnan()):
        return inf
    largest = float(second.nan_to_num().abs().max())
    difference = float((first - second).nan_to_num().abs().max())
    return difference / largest if largest else difference


# ----------------------------------------------------------------------------------- detectors
def _detector_rules(subject: Subject) -> list[Rule]:
    return [
        Rule("detect: faces", partial(_faces, subject)),
        Rule("landmarks: fitted", partial(_fitted, subject)),
    ]


def _pictures(subject: Subject) -> list[NDArray[np.uint8]]:
    return [to_uint8(image) for image in subject.images.permute(0, 2, 3, 1).cpu().numpy()]


def _faces(subject: Subject) -> str:
    """All that is found is a face, the best one first; in a grey picture an empty list will do."""
    found = [subject.judge.detect(image, 0) for image in _pictures(subject)]
    found.append(subject.judge.detect(np.full((64, 96, 3), 127, np.uint8), 0))
    for faces in found:
        for face in faces:
            _refuse_odd(face)
        scores = [face.score for face in faces]
        if scores != sorted(scores, reverse=True):
            raise NotConformingError("Faces must come with the best score first.")
    return f"{sum(map(len, found[:-1]))} in {BATCH} synthetic faces, {len(found[-1])} in grey"


def _fitted(subject: Subject) -> str:
    """There are landmarks for any box, whether a face is found in it or not, always the same."""
    image, box = _pictures(subject)[0], np.array([0.2, 0.2, 0.8, 0.8]) * SIZE
    first, again = (subject.judge.landmarks(image, box.copy()) for _ in range(2))
    _refuse_odd(first)
    if not np.array_equal(first.points5, again.points5):
        raise NotConformingError("A second look gave other points. Draw nothing at random.")
    return "five points in a given box, twice the same"


def _refuse_odd(face: object) -> None:
    if not isinstance(face, Face):
        raise NotConformingError("A face is an anonbench.values.Face.")
    left, top, right, bottom = np.asarray(face.box, float)
    if not (left < right and top < bottom):
        raise NotConformingError(f"The box {face.box} is not (left, top, right, bottom).")
    if np.shape(face.points5) != (5, 2) or not np.isfinite(face.points5).all():
        raise NotConformingError("points5 is [5, 2]: eyes, nose tip, mouth corners, in pixels.")
