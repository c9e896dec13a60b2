"""From arrays to the result record: what both verification protocols report alike."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from anonbench.measuring.resampling import resampled_interval
from anonbench.metrics.intervals import clopper_pearson
from anonbench.results.record import Counts, Interval
from anonbench.values import Scores
from anonbench_verification.slots import of_recovered, rejected

STD_OF = "folds, population"
NOT_REVERSIBLE = "not reversible"


def bootstrap_interval(
    replicates: NDArray[np.float64],
    strata: NDArray[np.int64],
    disjoint: bool,
    seed: int,
    threshold: str,
) -> Interval:
    """The interval of replicates `[R]`, with its scheme in words; `strata` were drawn from."""
    drawn = "within their folds" if disjoint else "over all folds, which share people"
    method = (
        f"percentile bootstrap over identities, drawn {drawn}, "
        f"{len(replicates)} replicates, seed {seed}, {threshold}"
    )
    return resampled_interval(replicates, strata, seed, method)


def exact_interval(accepted: int, genuine: int) -> Interval:
    """Clopper-Pearson of the genuine pairs accepted in all folds together."""
    low, high = clopper_pearson(accepted, genuine)
    return Interval(
        low=low,
        high=high,
        method="Clopper-Pearson on the pooled count of accepted genuine pairs, "
        "as if they were independent and the threshold given",
    )


def pair_counts(scores: Scores, undetected: str) -> Counts:
    """How many pairs were scored, and why not the others.

    A genuine pair of which only the recovered image failed counts as failed, although it is
    behind every metric but the recovered one.
    """
    failed, same = scores["failed"], scores["same"].astype(np.bool_)
    scored = ~np.isnan(scores["distance"].astype(np.float64))
    restored = of_recovered(scores)
    if restored is not None:
        again = np.char.add("recovered: ", restored["failed"].astype(np.str_))
        failed = np.where(scored, again, failed)
    used = scored & (restored is None or ~np.isnan(restored["distance"].astype(np.float64)))
    no_probe = int(rejected(scores).sum())
    return Counts(
        unit="pairs",
        expected=len(same),
        used=int(used.sum()),
        failed=dict(Counter(map(str, failed[~used]))),
        detail={
            "genuine": int((used & same).sum()),
            "impostor": int((used & ~same).sum()),
            "face not found in an image": int((used & ~scores["found"].astype(np.bool_)).sum()),
            "genuine, face not found in the published probe": no_probe,
            "genuine, rejected for it": no_probe if undetected == "reject" else 0,
        }
        | _recovered_counts(restored),
    )


def _recovered_counts(restored: Scores | None) -> dict[str, int]:
    if restored is None:
        return {}
    return {"genuine, face not found in the recovered probe": int(rejected(restored).sum())}
