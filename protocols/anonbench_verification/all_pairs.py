"""`lfw-tar-allpairs`: TAR at a FAR that all pairs of different people measure."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.errors import BadData
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import metric, no_metric, read_settings
from anonbench.metrics.bootstrap import (
    fixed_threshold_replicates,
    identity_strata,
    multiplicities,
    pair_mean_replicates,
)
from anonbench.metrics.verification import (
    Floats,
    Ints,
    ScoredPairs,
    all_impostor_counts,
    binned_auc,
    pooled_threshold,
    share_by_fold,
    shares_beyond,
    unit_vectors,
)
from anonbench.results.record import Counts, Interval, Metric, Reduction
from anonbench.values import Needs, Scores
from anonbench_verification.options import AllPairsOptions
from anonbench_verification.reduction import (
    NOT_REVERSIBLE,
    STD_OF,
    bootstrap_interval,
    exact_interval,
    pair_counts,
)
from anonbench_verification.slots import (
    check_far,
    first_pairs,
    genuine_pairs,
    identities,
    lookup,
    needs_of,
    of_recovered,
    pair_scores,
    scored_pairs,
)


class LfwTarAllPairs:
    """Genuine pairs as in `lfw-tar`; impostors are all pairs of different people.

    The impostor pairs are those of the original images that occur in the official pairs, some
    29.6 million for LFW. They are counted per bin of the threshold grid and not stored one by one.
    One threshold, the largest of the grid with FAR <= target, serves all folds.

    Args:
        card: Its config has `far`, `undetected`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(AllPairsOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """Every image of the pairs as original, second ones of genuine pairs also published.

        Raises:
            UnreachableFar: These images have too few impostor pairs to resolve the FAR.
        """
        pairs = dataset.pairs()
        check_far(
            self.card,
            self.options.far,
            limit,
            pairs,
            lambda some: impostor_pairs(identities(dataset, some).values()),
        )
        chosen = first_pairs(pairs, limit)
        return replace(needs_of(chosen), original=tuple(identities(dataset, chosen)))

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of the genuine pairs, and the histogram of all impostor pairs.

        Returns:
            The arrays of `slots.pair_scores` for genuine pairs, and `impostor_counts`
            (`[len(GRID) + 1]` pairs per bin), `image` (`[M]` sample ids), `image_identity`,
            `image_failed` (why an image is in no impostor pair, or empty).
        """
        pairs = first_pairs(dataset.pairs(), limit)
        code = identities(dataset, pairs)
        images = lookup(evidence.embeddings("original", judge), list(code))
        identity = np.array(list(code.values()), dtype=np.int64)
        usable = images.failed == ""
        return {
            **pair_scores(genuine_pairs(pairs), code, evidence, judge),
            "impostor_counts": all_impostor_counts(
                unit_vectors(images.vectors[usable]), identity[usable]
            ),
            "image": np.array(list(code), dtype=np.str_),
            "image_identity": identity,
            "image_failed": images.failed,
        }

    def reduce(self, scores: Scores) -> Reduction:
        """TAR with published and with recovered probes, their FAR, and AUC.

        The FAR is exact; AUC has the resolution of the grid.

        Raises:
            BadData: No genuine pair was scored.
            UnreachableFar: The impostor pairs cannot resolve the FAR.
        """
        genuine = scored_pairs(scores, self.options.undetected)
        counts = scores["impostor_counts"].astype(np.int64)
        threshold, far = pooled_threshold(counts, self.options.far)
        impostors = int(counts.sum())
        return Reduction(
            metrics=(
                self._tar("tar", genuine, threshold, far),
                self._recovered(scores, threshold, far),
                metric(self.card, "far", far, impostors),
                self._auc(genuine, counts),
            ),
            counts=self._counts(scores, impostors),
        )

    def _recovered(self, scores: Scores, threshold: float, far: float) -> Metric:
        restored = of_recovered(scores)
        if restored is None:
            return no_metric(self.card, "tar_recovered", NOT_REVERSIBLE)
        try:
            genuine = scored_pairs(restored, self.options.undetected)
        except BadData as error:
            return no_metric(self.card, "tar_recovered", f"{error.what} {error.why}")
        return self._tar("tar_recovered", genuine, threshold, far)

    def _tar(self, name: str, genuine: ScoredPairs, threshold: float, far: float) -> Metric:
        accepted = genuine.distance < threshold
        names, fold = np.unique(genuine.fold, return_inverse=True)
        per_fold = share_by_fold(accepted, fold, len(names), np.ones((1, len(fold))))
        return metric(
            self.card,
            name,
            float(accepted.mean()),
            len(accepted),
            std=float(per_fold.std()),
            std_of=STD_OF,
            intervals=(
                self._bootstrap(
                    genuine,
                    lambda drawn: fixed_threshold_replicates(genuine, threshold, drawn),
                    "the threshold taken as given",
                ),
                exact_interval(int(accepted.sum()), len(accepted)),
            ),
            detail={
                "far": far,
                "far_target": self.options.far,
                "threshold": threshold,
                "accepted": int(accepted.sum()),
                "folds": len(names),
            },
        )

    def _auc(self, genuine: ScoredPairs, impostors: Ints) -> Metric:
        shares = shares_beyond(genuine.distance, impostors)
        interval = self._bootstrap(
            genuine,
            lambda drawn: pair_mean_replicates(genuine, shares, drawn),
            "impostors taken as given",
        )
        auc = binned_auc(genuine.distance, impostors)
        n = int(impostors.sum()) + len(shares)
        return metric(self.card, "auc", auc, n, intervals=(interval,))

    def _bootstrap(
        self, genuine: ScoredPairs, replicates: Callable[[Ints], Floats], given: str
    ) -> Interval:
        """The interval of a statistic, from how often each person is drawn to its replicates."""
        strata, disjoint = identity_strata(genuine)
        drawn = multiplicities(strata, self.options.bootstrap, self.options.bootstrap_seed)
        seed = self.options.bootstrap_seed
        return bootstrap_interval(replicates(drawn), strata, disjoint, seed, given)

    def _counts(self, scores: Scores, impostors: int) -> Counts:
        """Counts of the genuine pairs with those of the impostor pairs added."""
        genuine = pair_counts(scores, self.options.undetected)
        identity = scores["image_identity"].astype(np.int64)
        lost = impostor_pairs(identity) - impostors
        return genuine.model_copy(
            update={
                "expected": genuine.expected + impostors + lost,
                "used": genuine.used + impostors,
                "failed": genuine.failed | ({"impostor image failed": lost} if lost else {}),
                "detail": genuine.detail
                | {
                    "impostor": impostors,
                    "images": len(identity),
                    "images failed": int((scores["image_failed"] != "").sum()),
                },
            }
        )


def impostor_pairs(identity: Iterable[int] | NDArray[np.int64]) -> int:
    """Number of unordered pairs of different people among images with these identity codes."""
    people = Counter(map(int, identity))
    images = people.total()
    return (images * images - sum(n * n for n in people.values())) // 2
