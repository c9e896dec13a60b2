"""The Fréchet and the kernel distance of two sets of images, from a stream of their features."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.measuring import metric, no_metric
from anonbench.metrics.frechet import Moments, enough, frechet_distance, kernel_distance
from anonbench.results.record import Interval, Metric
from anonbench.values import Scores

Features = NDArray[np.floating]

NAMES = {"inception-fid": ("fid", "kid"), "vgg16": ("fd-vgg16", "kd-vgg16")}
"""The metrics of a judge of features; only Inception's are FID and KID."""

OTHER_NAMES = ("fd", "kd")
"""Those of any other judge."""

NO_INTERVAL = "intervals, as resampling would change its bias"
TOO_FEW = "it takes two images"


class FeatureSets:
    """What is kept of the features of reference and published images.

    Memory grows with the number of features and of the images kept for the kernel distance; all
    others leave only their moments.

    Args:
        kept: Images whose features are kept.
    """

    def __init__(self, kept: Collection[str]) -> None:
        self._kept = kept
        self._moments: tuple[Moments, ...] = ()
        self._rows = np.empty((2, 0, 0), np.float32)
        self._filled = 0
        self._equal = True

    def add(
        self, image: str, reference: Features, published: Features, *, usable: bool = True
    ) -> None:
        """Take in the features `[D]` of an image before and after.

        Args:
            image: The sample.
            reference: Before.
            published: After.
            usable: Whether there is a face in both; if not, they mean nothing.

        Raises:
            ValueError: A usable one is not finite.
        """
        if not self._moments:
            self._moments = Moments(len(reference)), Moments(len(reference))
            self._rows = np.empty((2, len(self._kept), len(reference)), np.float32)
        if not usable:
            return
        for moments, features in zip(self._moments, (reference, published), strict=True):
            moments.add(features[None])
        self._equal = self._equal and np.array_equal(reference, published)
        if image in self._kept:
            self._rows[:, self._filled] = reference, published
            self._filled += 1

    def scores(self, judge: str, *, small_sample: bool, seed: int) -> Scores:
        """What `feature_metrics` needs; nothing where there were no features.

        Args:
            judge: Name of the judge.
            small_sample: Whether fewer images than features may have a Fréchet distance.
            seed: Of the kernel distance's subsets.

        Returns:
            `metric_names` (`[2]`), `dimension`, `images` that were usable, `frechet` where they
            are enough, and of the kernel distance `kernel` (its mean and std over subsets) and
            `kernel_images` (those kept, the number of subsets, the images of each).
        """
        if not self._moments:
            return {}
        first, second = self._moments
        dimension = len(first.mean)
        told: Scores = {
            "metric_names": np.array(NAMES.get(judge, OTHER_NAMES)),
            "dimension": np.array(dimension),
            "images": np.array(first.count),
        }
        if first.count > 1 and (small_sample or enough(first.count, dimension)):
            told["frechet"] = np.array(0.0 if self._equal else frechet_distance(first, second))
        return told | (self._kernel(seed) if self._filled > 1 else {})

    def _kernel(self, seed: int) -> Scores:
        """Where the sets are equal both distances are 0, which rounding would blur."""
        before, after = self._rows[:, : self._filled]
        found = kernel_distance(before, after, seed=seed, paired=True)
        return {
            "kernel": np.array((0.0, 0.0) if self._equal else (found.mean, found.std)),
            "kernel_images": np.array((len(before), found.subsets, found.subset_size)),
        }


def feature_metrics(card: ProtocolCard, scores: Scores) -> tuple[Metric, Metric]:
    """The Fréchet and the kernel distance that the scores of a judge of features tell."""
    frechet, kernel = map(str, scores["metric_names"])
    return _frechet(card, frechet, scores), _kernel(card, kernel, scores)


def _frechet(card: ProtocolCard, name: str, scores: Scores) -> Metric:
    images, dimension = int(scores["images"]), int(scores["dimension"])
    detail = {"features": float(dimension), NO_INTERVAL: 0.0}
    if "frechet" in scores:
        return metric(card, name, float(scores["frechet"]), images, detail=detail)
    reason = f"{images} images for {dimension} features; {card.name}:small_sample=true allows it"
    return no_metric(card, name, reason if images > 1 else TOO_FEW, detail)


def _kernel(card: ProtocolCard, name: str, scores: Scores) -> Metric:
    """With its spread where there are several subsets; as they overlap, it is not a CI."""
    if "kernel" not in scores:
        return no_metric(card, name, TOO_FEW)
    mean, std = map(float, scores["kernel"])
    images, subsets, size = map(int, scores["kernel_images"])
    detail = {"features": float(scores["dimension"]), "subsets": subsets, "images in each": size}
    if subsets == 1:
        return metric(card, name, mean, images, detail=detail)
    which = f"{subsets} overlapping subsets of {size} images"
    reach = 1.96 * std
    spread = Interval(low=mean - reach, high=mean + reach, method=f"mean ± 1.96 std over {which}")
    return metric(
        card, name, mean, images, std=std, std_of=which, intervals=(spread,), detail=detail
    )
