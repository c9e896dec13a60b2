"""`key-sensitivity`: what recovery gives under wrong passwords."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import no_metric, read_settings
from anonbench.measuring.embeddings import Joined, joined_counts, joined_embeddings
from anonbench.measuring.images import ImageOptions, chosen, image_scores, mean_metric, used
from anonbench.metrics.image_quality import mean_absolute_error
from anonbench.metrics.intervals import clopper_pearson
from anonbench.metrics.verification import squared_distances
from anonbench.results.record import Interval, Metric, Reduction
from anonbench.values import Needs, Scores, Source

SOURCES: tuple[Source, ...] = ("reference", "recovered", "misrecovered", "misrecovered-again")
NO_BITS = "does not say which bits its password has"


class KeySensitivity:
    """Images are recovered under the right key, two wrong ones, and with some bits wrong.

    Args:
        card: Its config has `images`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(ImageOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """The first `limit` images, recovered rightly and wrongly, and their references.

        Raises:
            BadData: The dataset has no pairs, but `images=probes`.
        """
        ids = chosen(dataset, self.options, limit)
        return Needs(reference=ids, recovered=ids, misrecovered=ids)

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images.

        Returns:
            The arrays of `images.image_scores`; of a recogniser the cosines to the original,
            `right` and `wrong` by key, `apart` between two wrong keys, and the numbers of
            `embeddings.Joined.unseen_scores`. Without a judge `absolute`, the mean absolute
            difference in `[0, 1]` between recovery by a wrong and by the right key, and, where
            the method has password bits, `flips` `[N, C]`, the same for `flip_counts` `[C]` wrong
            bits.
        """
        if not judge:
            return _pixels(dataset, evidence)
        both = joined_embeddings(evidence, judge, SOURCES, chosen(dataset, self.options, limit))
        columns: Scores = {
            "right": _cosines(both, "reference", "recovered"),
            "wrong": _cosines(both, "reference", "misrecovered"),
            "apart": _cosines(both, "misrecovered", "misrecovered-again"),
        }
        return image_scores(dataset, both.ids, both.failed, columns) | both.unseen_scores

    def reduce(self, scores: Scores) -> Reduction:
        """Means over images.

        Raises:
            BadData: No image could be recovered.
        """
        metrics = self._judged(scores) if "wrong" in scores else self._unjudged(scores)
        return Reduction(metrics=metrics, counts=joined_counts(scores))

    def _judged(self, scores: Scores) -> tuple[Metric, ...]:
        right = {"right key": float(_values(scores, "right").mean())}
        wrong, apart = _values(scores, "wrong"), _values(scores, "apart")
        return (
            mean_metric(self.card, self.options, "wrong-key-cosine", scores, wrong, detail=right),
            mean_metric(self.card, self.options, "wrong-keys-apart", scores, apart),
        )

    def _unjudged(self, scores: Scores) -> tuple[Metric, ...]:
        absolute = _values(scores, "absolute")
        mae = mean_metric(self.card, self.options, "wrong-key-mae", scores, absolute)
        return mae, self._same(scores, absolute == 0), self._one_bit(scores)

    def _same(self, scores: Scores, same: NDArray[np.bool_]) -> Metric:
        count = int(same.sum())
        low, high = clopper_pearson(count, len(same))
        interval = Interval(
            low=100 * low, high=100 * high, method="Clopper-Pearson, as if images were independent"
        )
        return mean_metric(
            self.card,
            self.options,
            "wrong-key-same",
            scores,
            np.where(same, 100.0, 0.0),
            intervals=(interval,),
            detail={"identical images": float(count)},
        )

    def _one_bit(self, scores: Scores) -> Metric:
        """With one wrong bit; beside it the whole curve, and how often nothing changes."""
        if "flips" not in scores:
            return no_metric(self.card, "flip-1-mae", NO_BITS)
        flips = _values(scores, "flips")
        counts: Sequence[int] = scores["flip_counts"].astype(np.int64).tolist()
        curve = dict(zip(map(_wrong, counts), flips.mean(axis=0).tolist(), strict=True))
        same = {"identical images with 1 wrong bit": float((flips[:, 0] == 0).sum())}
        return mean_metric(
            self.card, self.options, "flip-1-mae", scores, flips[:, 0], detail=curve | same
        )


def _pixels(dataset: Dataset, evidence: Evidence) -> Scores:
    absolute, failed = {}, {}
    for crops in evidence.crops("recovered", "misrecovered"):
        if crops.failed:
            failed[crops.id] = crops.failed
        else:
            absolute[crops.id] = mean_absolute_error(*crops.images)
    if not evidence.method.password_bits:
        values = np.array(list(absolute.values()), np.float64)
        return image_scores(dataset, list(absolute), failed, {"absolute": values})
    bits = evidence.wrong_bits()
    failed |= {i: why for i, why in bits.failed.items() if i not in failed}
    row = {i: place for place, i in enumerate(bits.ids) if i in absolute}
    columns: Scores = {
        "absolute": np.array([absolute[i] for i in row], np.float64),
        "flips": bits.differences[list(row.values())],
    }
    return image_scores(dataset, list(row), failed, columns) | {"flip_counts": bits.counts}


def _cosines(both: Joined, one: Source, other: Source) -> NDArray[np.float64]:
    return 1 - squared_distances(both.vectors[one], both.vectors[other]) / 2


def _values(scores: Scores, column: str) -> NDArray[np.float64]:
    return scores[column].astype(np.float64)[used(scores)]


def _wrong(count: int) -> str:
    return f"{count} wrong bit{'s' if count > 1 else ''}"
