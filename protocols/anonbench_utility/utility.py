"""`utility`: what an anonymized face keeps besides its identity, in the eyes of many judges."""

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import no_metric, read_settings
from anonbench.measuring.images import chosen, image_counts, image_scores, mean_metric, used
from anonbench.metrics.frechet import sampled
from anonbench.metrics.intervals import clopper_pearson
from anonbench.results.record import Counts, Interval, Metric, Reduction
from anonbench.values import Needs, Scores
from anonbench_utility.distances import distances
from anonbench_utility.features import FeatureSets, feature_metrics
from anonbench_utility.options import UtilityOptions

NO_PAIR = "no image shows a face both before and after"


class Utility:
    """Published images are compared with the originals as the method's crops.

    Args:
        card: Its config has `images`, `points`, `small_sample`, `kernel_images`, `bootstrap`,
            `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(UtilityOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """The first `limit` images as they are and published.

        Raises:
            BadData: The dataset has no pairs, but `images=probes`.
        """
        ids = chosen(dataset, self.options, limit)
        return Needs(reference=ids, published=ids)

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images.

        Returns:
            The arrays of `images.image_scores`, `found_reference` and `found_published` (a face
            was found), and a distance for each metric that the judge's traits allow, NaN where
            a face is missing; `detects`, whether the judge itself looks for faces; and what
            `FeatureSets.scores` tells of its features.
        """
        ids, failed, found, rows = [], dict[str, str](), [], []
        features, names, detects = FeatureSets(self._kept(dataset, limit)), tuple[str, ...](), False
        for told in evidence.traits(judge, "reference", "published"):
            if told.failed:
                failed[told.id] = told.failed
                continue
            reference, published = told.values
            row = distances(reference, published, evidence.side, self.options.points)
            ids.append(told.id)
            found.append(told.found)
            names, detects = tuple(row), "points" in reference
            rows.append(np.array([*row.values()]) if all(told.found) else np.full(len(row), np.nan))
            if "features" in reference:
                vectors = reference["features"], published["features"]
                features.add(told.id, *vectors, usable=all(told.found))
        table = np.array(rows, np.float64).reshape(len(ids), len(names))
        columns: Scores = dict(zip(names, table.T, strict=True))
        faces = np.array(found, np.bool_).reshape(-1, 2)
        columns |= {"found_reference": faces[:, 0], "found_published": faces[:, 1]}
        options = self.options
        return {
            **image_scores(dataset, ids, failed, columns),
            **features.scores(
                judge, small_sample=options.small_sample, seed=options.bootstrap_seed
            ),
            "detects": np.array(detects),
        }

    def _kept(self, dataset: Dataset, limit: int | None) -> set[str]:
        """The images behind a kernel distance."""
        ids = chosen(dataset, self.options, limit)
        kept = sampled(len(ids), self.options.kernel_images, self.options.bootstrap_seed)
        return {image for image, keep in zip(ids, kept, strict=True) if keep}

    def reduce(self, scores: Scores) -> Reduction:
        """Whatever the scores of a judge allow, with the images that lack a face counted.

        Raises:
            BadData: No image could be measured.
        """
        metrics = [self._detection_rate(scores)] if scores["detects"] else []
        names = [spec.name for spec in self.card.metrics if spec.name in scores]
        metrics += [self._distance(name, scores) for name in names]
        if "metric_names" in scores:
            metrics += feature_metrics(self.card, scores)
        return Reduction(metrics=tuple(metrics), counts=_counts(scores))

    def _detection_rate(self, scores: Scores) -> Metric:
        good = used(scores)
        reference, published = (
            _found(scores, source)[good] for source in ("reference", "published")
        )
        low, high = clopper_pearson(int(published.sum()), len(published))
        interval = Interval(
            low=low, high=high, method="Clopper-Pearson, as if images were independent"
        )
        return mean_metric(
            self.card,
            self.options,
            "detection-rate",
            scores,
            published.astype(np.float64),
            intervals=(interval,),
            detail={"of the reference images": float(reference.mean())},
        )

    def _distance(self, name: str, scores: Scores) -> Metric:
        """The mean over images that show a face in both, and how many do."""
        values, good = scores[name].astype(np.float64), used(scores)
        both = good & np.isfinite(values)
        detail = {
            "images": float(good.sum()),
            "left out": float((good & ~both).sum()),
            "no face in the reference": float((good & ~_found(scores, "reference")).sum()),
            "no face in the published": float((good & ~_found(scores, "published")).sum()),
        }
        if not both.any():
            return no_metric(self.card, name, NO_PAIR, detail)
        compared = scores | {"failed": np.where(both, "", "no face")}
        metric = mean_metric(self.card, self.options, name, compared, values[both], detail=detail)
        if name == "landmark-distance" and self.options.points == "nme":
            return metric.model_copy(update={"unit": "of the inter-ocular distance"})
        return metric


def _found(scores: Scores, source: str) -> NDArray[np.bool_]:
    return scores[f"found_{source}"].astype(np.bool_)


def _counts(scores: Scores) -> Counts:
    """Also how many images show no face; a judge of features does not say."""
    good, counts = used(scores), image_counts(scores)
    sources = () if "metric_names" in scores else ("reference", "published")
    unseen = {
        f"{source} images without a face": int((good & ~_found(scores, source)).sum())
        for source in sources
    }
    return counts.model_copy(update={"detail": {**counts.detail, **unseen}})
