"""`password`: how many of the bits that a method hides are read wrong from published images."""

from collections.abc import Mapping

import numpy as np

from anonbench.cards import ProtocolCard
from anonbench.interfaces import Bits, Dataset, Evidence, Needs, Scores
from anonbench.measuring import no_metric, read_settings
from anonbench.measuring.images import chosen, image_counts, image_scores, mean_metric, used
from anonbench.metrics.intervals import clopper_pearson
from anonbench.metrics.password import (
    bit_errors,
    errors_by_position,
    float_cosines,
    float_errors,
)
from anonbench.results.record import Interval, Metric, Reduction
from anonbench_recovery.options import PasswordOptions

FIELDS = {"sign": slice(0, 1), "exponent": slice(1, 9), "mantissa": slice(9, 32)}
NO_FLOATS = "the hidden bits are no floats"


class Password:
    """Images are published, and the bits read from them compared with those that were hidden.

    Args:
        card: Its config has `images`, `guard`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(PasswordOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """The bits of the first `limit` images.

        Raises:
            BadData: The dataset has no pairs, but `images=probes`.
        """
        return Needs(bits=chosen(dataset, self.options, limit))

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images.

        Returns:
            The arrays of `images.image_scores`, `wrong` (bits read wrong, of `count` in each),
            and where they stand for floats their `error_raw` and `error_clamp50` (mean squared
            errors; raw ones need not be finite), `cosine` (behind the guard of the settings) and
            `wrong_by_position` (`[32]`, over all images).
        """
        bits = evidence.bits()
        columns: Scores = {"wrong": bit_errors(bits.embedded, bits.read)}
        totals: Scores = {"count": np.array(bits.count)}
        if bits.format == "float32":
            columns |= self._floats(bits)
            totals["wrong_by_position"] = errors_by_position(bits.embedded, bits.read)
        return image_scores(dataset, bits.ids, bits.failed, columns) | totals

    def _floats(self, bits: Bits) -> Scores:
        both = bits.embedded, bits.read
        return {
            "error_raw": float_errors(*both, "raw"),
            "error_clamp50": float_errors(*both, "clamp50"),
            "cosine": float_cosines(*both, self.options.guard),
        }

    def reduce(self, scores: Scores) -> Reduction:
        """Bit error rate, share of exact passwords, and the error of the floats they stand for.

        Raises:
            BadData: No image could be read.
        """
        metrics = (
            self._bit_error_rate(scores),
            self._exact_recovery_rate(scores),
            self._float_error(scores),
            self._finite_mean("float-cosine", scores, "cosine", {}),
        )
        return Reduction(metrics=metrics, counts=image_counts(scores))

    def _bit_error_rate(self, scores: Scores) -> Metric:
        wrong, count = scores["wrong"].astype(np.float64)[used(scores)], int(scores["count"])
        detail = {
            "bits per image": float(count),
            "wrong bits": float(wrong.sum()),
            "of the worst image": float(wrong.max()) / count,
        }
        if "wrong_by_position" in scores:
            by_position = scores["wrong_by_position"].astype(np.float64)
            floats = len(wrong) * count / len(by_position)
            detail |= {f"of {name}": by_position[at].mean() / floats for name, at in FIELDS.items()}
        return mean_metric(
            self.card, self.options, "bit-error-rate", scores, wrong / count, detail=detail
        )

    def _exact_recovery_rate(self, scores: Scores) -> Metric:
        exact = scores["wrong"][used(scores)] == 0
        low, high = clopper_pearson(int(exact.sum()), len(exact))
        interval = Interval(
            low=low, high=high, method="Clopper-Pearson, as if images were independent"
        )
        return mean_metric(
            self.card,
            self.options,
            "exact-recovery-rate",
            scores,
            exact.astype(np.float64),
            intervals=(interval,),
        )

    def _float_error(self, scores: Scores) -> Metric:
        """The error behind the guard, and beside it what the raw one would be."""
        detail = {}
        if "error_raw" in scores:
            raw = scores["error_raw"].astype(np.float64)[used(scores)]
            unusable = ~np.isfinite(raw)
            detail["images with a raw error that is not finite"] = float(unusable.sum())
            if not unusable.any():
                detail["raw"] = float(raw.mean())
        return self._finite_mean("float-mse", scores, f"error_{self.options.guard}", detail)

    def _finite_mean(
        self, name: str, scores: Scores, column: str, detail: Mapping[str, float]
    ) -> Metric:
        if column not in scores:
            return no_metric(self.card, name, NO_FLOATS)
        values = scores[column].astype(np.float64)[used(scores)]
        if lost := int((~np.isfinite(values)).sum()):
            reason = f"not finite in {lost} of {len(values)} images"
            return no_metric(self.card, name, reason, detail)
        return mean_metric(self.card, self.options, name, scores, values, detail=detail)
