"""`celebahq-similarity`: how alike a recogniser finds the original and what became of it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import no_metric, read_settings
from anonbench.measuring.embeddings import UNUSABLE
from anonbench.measuring.images import chosen, image_counts, image_scores, mean_metric, used
from anonbench.metrics.verification import squared_distances
from anonbench.results.record import Counts, Metric, Reduction
from anonbench.values import Embeddings, Needs, Scores, Source
from anonbench_similarity.options import SimilarityOptions


class Similarity:
    """Images are published, and recovered, with several seeds; each is compared by its embedding.

    It is compared with the original as the method's crop, so that a method that changes nothing
    has the cosine 1.

    Args:
        card: Its config has `images`, `seeds`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(SimilarityOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """The first `limit` images as they are, published and recovered.

        Raises:
            BadData: The dataset has no pairs, but `images=probes`.
        """
        ids = chosen(dataset, self.options, limit)
        return Needs(reference=ids, published=ids, recovered=ids, seeds=self.options.seeds)

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images with K seeds.

        An image counts where it was published and judged with every seed.

        Returns:
            The arrays of `images.image_scores`; `published` (`[N, K]` cosines), `seed` (`[K]`),
            `found_reference` (`[N]`, a face was found) and `found_published` (`[N, K]`). For a
            reversible method `recovered` and `found_recovered` likewise, with NaN where an image
            was not recovered; for another one `not_recovered`, why there are none.
        """
        ids = chosen(dataset, self.options, limit)
        reference = evidence.embeddings("reference", judge)
        published, found, failed = _against(reference, evidence, "published", judge, ids)
        columns: Scores = {
            "published": published,
            "found_published": found,
            "found_reference": _found(reference, ids),
        }
        totals: Scores = {"seed": np.array(evidence.seeds, np.int64)}
        if lacking := evidence.lacks("recovered"):
            totals["not_recovered"] = np.array(lacking)
        else:
            columns["recovered"], columns["found_recovered"], _ = _against(
                reference, evidence, "recovered", judge, ids
            )
        good = np.array([i not in failed for i in ids], np.bool_)
        kept = {name: column[good] for name, column in columns.items()}
        return image_scores(dataset, [i for i in ids if i not in failed], failed, kept) | totals

    def reduce(self, scores: Scores) -> Reduction:
        """Mean cosine of published and of recovered images.

        Raises:
            BadData: No image could be measured.
        """
        metrics = self._mean("cosine", scores, "published"), self._recovered(scores)
        return Reduction(metrics=metrics, counts=_counts(scores))

    def _recovered(self, scores: Scores) -> Metric:
        name = "cosine-recovered"
        if "recovered" not in scores:
            return no_metric(self.card, name, str(scores["not_recovered"]))
        lost = np.isnan(scores["recovered"].astype(np.float64)).any(axis=1)
        usable = scores | {"failed": np.where(lost, "not recovered", scores["failed"])}
        if lost.all():
            return no_metric(self.card, name, "no recovered image could be measured")
        return self._mean(name, usable, "recovered")

    def _mean(self, name: str, scores: Scores, source: str) -> Metric:
        """The mean over images and seeds, with its spread over either."""
        cosines = scores[source].astype(np.float64)[used(scores)]
        by_seed = cosines.mean(axis=0)
        seeds = len(by_seed)
        detail = {
            f"with seed {seed}": float(mean)
            for seed, mean in zip(scores["seed"], by_seed, strict=True)
        }
        if seeds > 1:
            detail[f"std over {seeds} seeds, population"] = float(by_seed.std())
        means = cosines.mean(axis=1)
        metric = mean_metric(self.card, self.options, name, scores, means, detail=detail)
        std_of = f"images, population, each the mean of {seeds} seeds" if seeds > 1 else ""
        return metric.model_copy(update={"std_of": std_of or metric.std_of})


def _against(
    reference: Embeddings, evidence: Evidence, source: Source, judge: str, ids: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, str]]:
    """Cosines `[N, K]` of a source with the reference, whether a face was found, and failures."""
    cosines, found, failed = [], [], dict[str, str]()
    for seed in evidence.seeds:
        other = evidence.embeddings(source, judge, seed)
        values = _cosines(reference, other, ids)
        why = {**other.failed, **reference.failed}
        lost = [i for i, value in zip(ids, values, strict=True) if np.isnan(value)]
        failed = {i: why.get(i, UNUSABLE) for i in lost} | failed
        cosines.append(values)
        found.append(_found(other, ids))
    return np.stack(cosines, axis=1), np.stack(found, axis=1), failed


def _cosines(reference: Embeddings, other: Embeddings, ids: Sequence[str]) -> NDArray[np.float64]:
    """Cosines `[N]`, exactly 1 of equal vectors; NaN where one is lacking or has no direction."""
    at, place = ({i: row for row, i in enumerate(some.ids)} for some in (reference, other))
    common = [i for i in ids if i in at and i in place]
    if not common:
        return np.full(len(ids), np.nan)
    first = reference.vectors[[at[i] for i in common]]
    second = other.vectors[[place[i] for i in common]]
    values = dict(zip(common, 1 - squared_distances(first, second) / 2, strict=True))
    return np.array([values.get(i, np.nan) for i in ids], np.float64)


def _found(embeddings: Embeddings, ids: Sequence[str]) -> NDArray[np.bool_]:
    known = dict(zip(embeddings.ids, embeddings.found, strict=True))
    return np.array([known.get(i, False) for i in ids], np.bool_)


def _counts(scores: Scores) -> Counts:
    """Also in how many images no face was found, so that the fallback box was judged."""
    good, counts = used(scores), image_counts(scores)
    unseen = {"reference": ~scores["found_reference"].astype(np.bool_)}
    for source in ("published", "recovered"):
        if source in scores:
            judged = ~np.isnan(scores[source].astype(np.float64))
            unseen[source] = judged & ~scores[f"found_{source}"].astype(np.bool_)
    numbers = {f"{name} images without a face": int(at[good].sum()) for name, at in unseen.items()}
    return counts.model_copy(update={"detail": {**counts.detail, **numbers}})
