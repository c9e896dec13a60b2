"""`password`: how many of the bits that a method hides are read wrong from published images."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import no_metric, read_settings
from anonbench.measuring.images import (
    ImageOptions,
    chosen,
    image_counts,
    image_scores,
    mean_metric,
    used,
)
from anonbench.metrics.intervals import clopper_pearson
from anonbench.metrics.password import (
    Guard,
    Numbers,
    beyond_ball,
    bit_errors,
    errors_by_position,
    float_cosines,
    float_errors,
    floats,
    not_finite,
)
from anonbench.results.record import Interval, Metric, Reduction
from anonbench.values import Needs, Scores

FIELDS = {"exponent": slice(1, 9), "mantissa": slice(9, 32)}
GUARDS: tuple[Guard, ...] = ("raw", "clamp50", "project")
NO_FLOATS = "the hidden bits are no floats"


class Password:
    """Images are published, and the bits read from them compared with those that were hidden.

    Args:
        card: Its config has `images`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(ImageOptions, card)

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
            and where they stand for floats, per guard, `error_raw` (mean squared error, which need
            not be finite), `cosine_raw` ...; `nan` and `infinite` (how many floats), `beyond`
            (whether the hidden ones lie outside the ball). Where they have float32's own pattern,
            also `wrong_by_position` (`[32]`, over all images); where a learned code makes them,
            `code_error_raw`, `code_cosine_raw` ..., the same with no bit wrong.
        """
        bits = evidence.bits()
        columns: Scores = {"wrong": bit_errors(bits.embedded, bits.read)}
        totals: Scores = {"count": np.array(bits.count)}
        if bits.format == "float32":
            columns |= _read(floats(bits.embedded), floats(bits.read))
            totals["wrong_by_position"] = errors_by_position(bits.embedded, bits.read)
        if bits.numbers is not None:
            columns |= _read(bits.numbers.hidden, bits.numbers.read)
            alone = _errors(bits.numbers.hidden, bits.numbers.embedded)
            columns |= {f"code_{name}": values for name, values in alone.items()}
        return image_scores(dataset, bits.ids, bits.failed, columns) | totals

    def reduce(self, scores: Scores) -> Reduction:
        """Bit error rate, share of exact passwords, and the error of the floats they stand for.

        Raises:
            BadData: No image could be read.
        """
        metrics = (
            self._bit_error_rate(scores),
            self._exact_recovery_rate(scores),
            self._mean("float-mse-raw", scores, "error_raw"),
            self._mean("float-mse", scores, "error_clamp50"),
            self._projected(scores),
            self._cosine(scores),
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
            detail |= _rates(by_position / (len(wrong) * count / len(by_position)))
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

    def _projected(self, scores: Scores) -> Metric:
        detail = {}
        if "beyond" in scores:
            beyond = scores["beyond"][used(scores)]
            detail["images whose hidden floats lie outside the ball"] = float(beyond.sum())
        return self._mean("float-mse-projected", scores, "error_project", detail)

    def _cosine(self, scores: Scores) -> Metric:
        """That behind the guard `clamp50`, and beside it that of the projected floats."""
        detail = {}
        if "cosine_project" in scores:
            projected = scores["cosine_project"].astype(np.float64)[used(scores)]
            if np.isfinite(projected).all():
                detail["of the projected floats"] = float(projected.mean())
        return self._mean("identity-cosine", scores, "cosine_clamp50", detail)

    def _mean(
        self, name: str, scores: Scores, column: str, beside: Mapping[str, float] | None = None
    ) -> Metric:
        if column not in scores:
            return no_metric(self.card, name, NO_FLOATS)
        detail = {**(beside or {}), **_of_the_code(scores, f"code_{column}")}
        values = scores[column].astype(np.float64)[used(scores)]
        lost = ~np.isfinite(values)
        if not lost.any():
            return mean_metric(self.card, self.options, name, scores, values, detail=detail)
        numbers = {"NaN": "nan", "infinite": "infinite"}
        found = {title: float(scores[n][used(scores)].sum()) for title, n in numbers.items()}
        others = {} if lost.all() else {"of the other images": float(values[~lost].mean())}
        reason = (
            f"not finite in {int(lost.sum())} of {len(values)} images: {found['NaN']:.0f} floats "
            f"read are NaN, {found['infinite']:.0f} infinite"
        )
        return no_metric(self.card, name, reason, {**detail, **found, **others})


def _of_the_code(scores: Scores, column: str) -> dict[str, float]:
    """What a learned code has of a metric where no bit is wrong: the channel has the rest."""
    if column not in scores:
        return {}
    mean = scores[column].astype(np.float64)[used(scores)].mean()
    return {"of the code, no bit wrong": float(mean)} if np.isfinite(mean) else {}


def _read(hidden: Numbers, read: Numbers) -> Scores:
    nan, infinite = not_finite(read)
    counts: Scores = {"nan": nan, "infinite": infinite, "beyond": beyond_ball(hidden)}
    return _errors(hidden, read) | counts


def _errors(hidden: Numbers, read: Numbers) -> Scores:
    errors: Scores = {f"error_{guard}": float_errors(hidden, read, guard) for guard in GUARDS}
    return errors | {f"cosine_{guard}": float_cosines(hidden, read, guard) for guard in GUARDS}


def _rates(by_position: NDArray[np.float64]) -> dict[str, float]:
    """Rates of wrong bits at the 32 positions of a float, and those of its fields as a whole."""
    rates = {"of sign": float(by_position[0])}
    for name, at in FIELDS.items():
        field = by_position[at].tolist()
        rates[f"of {name}"] = sum(field) / len(field)
        rates |= {f"of {name} bit {place}": rate for place, rate in enumerate(field, 1)}
    return rates
