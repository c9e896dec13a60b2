"""Which images are measured, whose they are, and what all metrics over images have in common."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from anonbench.cards import ProtocolCard
from anonbench.errors import BadData
from anonbench.interfaces import Dataset
from anonbench.measuring import Settings, metric
from anonbench.measuring.resampling import resampled_interval
from anonbench.metrics.bootstrap import mean_replicates
from anonbench.results.record import Counts, Interval, Metric
from anonbench.values import Scores


class BootstrapOptions(Settings):
    """Settings of protocols that resample.

    Attributes:
        bootstrap: Replicates behind the confidence interval.
        bootstrap_seed: Seed of the replicates.
    """

    bootstrap: int = Field(ge=100)
    bootstrap_seed: int = Field(ge=0)


class ImageOptions(BootstrapOptions):
    """Settings of protocols over images.

    Attributes:
        images: `probes`: the second images of the dataset's genuine pairs, those that `lfw-tar`
            publishes, so that what was computed for one protocol serves the other. `all`: every
            image.
    """

    images: Literal["probes", "all"]


def chosen(dataset: Dataset, options: ImageOptions, limit: int | None) -> tuple[str, ...]:
    """The images to measure, each once, sorted: the first `limit` of them, None for all.

    Raises:
        BadData: Probes are asked for, and the dataset has no pairs.
    """
    if options.images == "all":
        ids = [sample.id for sample in dataset.samples()]
    else:
        ids = list(dict.fromkeys(pair.b for pair in dataset.pairs() if pair.same))
    return tuple(sorted(ids[:limit]))


def image_scores(
    dataset: Dataset, ids: Sequence[str], failed: Mapping[str, str], columns: Scores
) -> Scores:
    """Scores of N images and then of those that failed.

    Args:
        dataset: Says whose the images are.
        ids: The N images.
        failed: Why there is nothing of some others.
        columns: Arrays with N rows, to which NaN or 0 is appended for those that failed.

    Returns:
        The columns with the failed ones appended, `image` (sample ids), `identity` (integer
        codes from 0), `failed` (why, or empty).
    """
    names = [*ids, *failed]
    person = {sample.id: sample.identity for sample in dataset.samples()}
    codes = {who: code for code, who in enumerate(sorted({person.get(i, i) for i in names}))}
    return {
        "image": np.array(names, dtype=np.str_),
        "identity": np.array([codes[person.get(i, i)] for i in names], dtype=np.int64),
        "failed": np.array([*[""] * len(ids), *failed.values()], dtype=np.str_),
        **{name: _extended(column, len(failed)) for name, column in columns.items()},
    }


def _extended(column: NDArray[np.generic], more: int) -> NDArray[np.generic]:
    empty = np.nan if np.issubdtype(column.dtype, np.floating) else 0
    return np.concatenate([column, np.full((more, *column.shape[1:]), empty, dtype=column.dtype)])


def used(scores: Scores) -> NDArray[np.bool_]:
    """`[N]` images of which there are scores.

    Raises:
        BadData: There are none.
    """
    failed = scores["failed"].astype(np.str_)
    good: NDArray[np.bool_] = failed == ""
    if not good.any():
        reasons = Counter(map(str, failed)).most_common(3)
        raise BadData(
            "No image could be measured.",
            why="; ".join(f"{reason}: {n} images" for reason, n in reasons),
        )
    return good


def image_counts(scores: Scores) -> Counts:
    """How many images were measured, and why not the others."""
    failed = scores["failed"].astype(np.str_)
    lost = failed[failed != ""]
    return Counts(
        unit="images",
        expected=len(failed),
        used=len(failed) - len(lost),
        failed=dict(Counter(map(str, lost))),
        detail={"people": len(np.unique(scores["identity"][failed == ""]))},
    )


def mean_metric(
    card: ProtocolCard,
    options: BootstrapOptions,
    name: str,
    scores: Scores,
    values: NDArray[np.float64],
    *,
    intervals: tuple[Interval, ...] = (),
    detail: Mapping[str, float] | None = None,
) -> Metric:
    """The mean over images of finite values `[N]`, those that were used.

    With the population std over images and the percentile interval of a bootstrap over people,
    before any other interval.
    """
    identity = scores["identity"].astype(np.int64)[used(scores)]
    return metric(
        card,
        name,
        float(values.mean()),
        len(values),
        std=float(values.std()),
        std_of="images, population",
        intervals=(mean_interval(options, values, identity), *intervals),
        detail=detail,
    )


def mean_interval(
    options: BootstrapOptions, values: NDArray[np.float64], identity: NDArray[np.int64]
) -> Interval:
    """The percentile interval of the mean of finite values `[N]`, from a bootstrap over people.

    Args:
        options: How often is resampled, and with which seed.
        values: What was measured.
        identity: `[N]` integer code from 0 of whom it was measured.
    """
    means = mean_replicates(values, identity, options.bootstrap, options.bootstrap_seed)
    method = (
        f"percentile bootstrap over identities, {options.bootstrap} replicates, "
        f"seed {options.bootstrap_seed}"
    )
    return resampled_interval(means, np.unique(identity), options.bootstrap_seed, method)
