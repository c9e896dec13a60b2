"""`casia-accuracy`: whether a classifier still tells whose the faces are."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.errors import BadData
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import metric, no_metric, read_settings
from anonbench.measuring.embeddings import joined_counts
from anonbench.measuring.images import image_scores, mean_metric, used
from anonbench.measuring.people import Draw, Gallery, drawn_people
from anonbench.results.record import Counts, Metric, Reduction
from anonbench.values import Needs, Scores, Source
from anonbench_classification.options import AccuracyOptions

Labels = NDArray[np.int64]
Classify = Callable[[Source, Labels], Labels]
"""From a source and the rows of some images to the label that each of them is given."""

VARIANTS: dict[str, tuple[Source, Source]] = {
    "original": ("reference", "reference"),
    "a": ("published", "reference"),
    "b": ("reference", "published"),
    "a-recovered": ("recovered", "reference"),
    "b-recovered": ("reference", "recovered"),
}
"""What is learned from, and what is tested."""


class Recipe(Protocol):
    """Images in several sources, and a way to learn whose they are.

    Attributes:
        ids: N images that are there in every source; rows count in this order.
        failed: Why others are not.
        notes: What else belongs into the scores.
    """

    ids: tuple[str, ...]
    failed: dict[str, str]
    notes: Scores

    def learn(self, source: Source, rows: Labels, labels: Labels) -> Classify:
        """A classifier taught with these rows of a source."""
        ...


class CasiaAccuracy:
    """People are learned from some of their images, and recognised in others.

    Variant A learns from anonymized (or recovered) images and is tested on originals; B learns
    from originals and is tested on the others. Originals are the method's crops at 8 bits.

    Args:
        card: Its config is that of `AccuracyOptions`.

    Raises:
        BadConfig: Some of it is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(AccuracyOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """All images of the chosen people, as they are, published and recovered.

        Raises:
            BadData: There are too few people with so many images.
        """
        ids = _images(self._people(dataset, limit))
        return Needs(reference=ids, published=ids, recovered=ids)

    def _people(self, dataset: Dataset, limit: int | None) -> Gallery:
        options = self.options
        draw = Draw(options.people, options.images, options.images, options.seed)
        return drawn_people(self.card.name, dataset, draw, limit)

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images.

        Returns:
            The arrays of `images.image_scores`; `test` (`[N]` whether an image is held out) and,
            per variant, `told_VARIANT` (`[N]` code of the person that was recognised, -1 of an
            image that was not tested). For the recipe `facenet` also `loss_SOURCE` (`[epochs]`).
            `not_recovered` says why nothing was recovered. Without a judge there is `people`, and
            only that where the recipe asks one; of a judge that it does not ask there is nothing.

        Raises:
            BadData: Hardly any image could be used.
        """
        people = self._people(dataset, limit)
        chance: Scores = {} if judge else {"people": np.array(len(people))}
        if bool(judge) != self.options.judged:
            return chance
        lacking = evidence.lacks("recovered")
        sources: tuple[Source, ...] = ("reference", "published")
        sources += () if lacking else ("recovered",)
        recipe = self._recipe(evidence, judge, sources, _images(people))
        held_out = {i for images in people.values() for i in images[: self.options.held_out]}
        test = np.array([i in held_out for i in recipe.ids], np.bool_)
        scores = image_scores(dataset, recipe.ids, recipe.failed, {"test": test}) | chance
        if lacking:
            scores["not_recovered"] = np.array(lacking)
        return scores | _told(recipe, sources, scores) | recipe.notes

    def _recipe(
        self, evidence: Evidence, judge: str, sources: Sequence[Source], ids: Sequence[str]
    ) -> Recipe:
        if self.options.recipe == "probe":
            from anonbench_classification.probe import Probe

            return Probe(evidence, judge, sources, ids, self.options)
        from anonbench_classification.facenet import FaceNet

        return FaceNet(evidence, judge, sources, self.options)

    def reduce(self, scores: Scores) -> Reduction:
        """The share of held-out images whose person is recognised, in percent.

        Raises:
            BadData: No image could be measured.
        """
        chance = self._chance(scores)
        if "test" not in scores:
            people = int(scores.get("people", np.array(0)))
            counts = Counts(unit="people", expected=people, used=people)
            return Reduction(metrics=chance, counts=counts)
        accuracies = tuple(self._accuracy(name, scores) for name in VARIANTS)
        return Reduction(metrics=chance + accuracies, counts=_counts(scores))

    def _chance(self, scores: Scores) -> tuple[Metric, ...]:
        if "people" not in scores:
            return ()
        people = int(scores["people"])
        return (metric(self.card, "chance", 100 / people, people),)

    def _accuracy(self, variant: str, scores: Scores) -> Metric:
        name = f"accuracy-{variant}"
        if f"told_{variant}" not in scores:
            return no_metric(self.card, name, str(scores["not_recovered"]))
        tested = _at(scores, _tested(scores))
        hits = tested[f"told_{variant}"] == tested["identity"]
        return mean_metric(self.card, self.options, name, tested, 100.0 * hits)


def _images(people: Gallery) -> tuple[str, ...]:
    return tuple(sorted(image for images in people.values() for image in images))


def _told(recipe: Recipe, sources: Sequence[Source], scores: Scores) -> Scores:
    """Per variant `[N]` the person that each held-out image is taken for, -1 of the others."""
    identity = scores["identity"].astype(np.int64)
    tested, learned = (np.flatnonzero(chosen) for chosen in (_tested(scores), _learned(scores)))
    if not len(tested) or len(np.unique(identity[learned])) < 2:
        raise BadData(
            f"Of all images only {len(learned)} to learn from and {len(tested)} to test are left.",
            why="The others failed; it takes two people to learn and one image to test.",
        )
    told: Scores = {}
    for teacher in sources:
        classify = recipe.learn(teacher, learned, identity[learned])
        for name, (learned_from, shown) in VARIANTS.items():
            if learned_from == teacher and shown in sources:
                told[f"told_{name}"] = np.full(len(identity), -1)
                told[f"told_{name}"][tested] = classify(shown, tested)
    return told


def _tested(scores: Scores) -> NDArray[np.bool_]:
    return used(scores) & scores["test"].astype(np.bool_)


def _learned(scores: Scores) -> NDArray[np.bool_]:
    return used(scores) & ~scores["test"].astype(np.bool_)


def _at(scores: Scores, rows: NDArray[np.bool_]) -> Scores:
    """The arrays over images, of some of them."""
    return {name: array[rows] for name, array in scores.items() if array.shape[:1] == rows.shape}


def _counts(scores: Scores) -> Counts:
    """Also how many images were learned and tested, and in how many no face was found."""
    counts = joined_counts(scores)
    tested, learned = _tested(scores), _learned(scores)
    untaught = np.setdiff1d(scores["identity"][tested], scores["identity"][learned])
    numbers = {
        "images learned": int(learned.sum()),
        "images tested": int(tested.sum()),
        "people tested without an image to learn from": len(untaught),
    }
    return counts.model_copy(update={"detail": {**counts.detail, **numbers}})
