"""`lfw-tar`: TAR at a FAR over the official verification pairs, fold by fold."""

from collections import Counter
from collections.abc import Callable

import numpy as np

from anonbench.cards import ProtocolCard
from anonbench.errors import BadData
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import metric, no_metric, read_settings
from anonbench.metrics.bootstrap import (
    auc_replicates,
    identity_strata,
    multiplicities,
    tar_replicates,
)
from anonbench.metrics.verification import Floats, Ints, ScoredPairs, roc_auc, verify
from anonbench.results.record import Interval, Metric, Reduction
from anonbench.values import Needs, Pair, Scores
from anonbench_verification.options import TarOptions
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
    identities,
    needs_of,
    of_recovered,
    pair_scores,
    scored_pairs,
)


class LfwTar:
    """The second image of each genuine pair is published, every other image original.

    For a reversible method it is also measured with the second image recovered from its published
    file.

    Thresholds come from the clean impostor pairs (of the other folds, unless `rule=pooled`).

    Args:
        card: Its config has `rule`, `far`, `undetected`, `bootstrap`, `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(TarOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """What has to be embedded for the first `limit` pairs of either kind.

        Raises:
            UnreachableFar: These pairs cannot resolve the FAR.
        """
        pairs = dataset.pairs()
        check_far(self.card, self.options.far, limit, pairs, self._threshold_pairs)
        return needs_of(first_pairs(pairs, limit))

    def _threshold_pairs(self, pairs: list[Pair]) -> int:
        """Fewest impostor pairs from which a fold's threshold is chosen."""
        per_fold = Counter(pair.fold for pair in pairs if not pair.same)
        own = 0 if self.options.rule == "pooled" else max(per_fold.values(), default=0)
        return per_fold.total() - own

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """The arrays of `slots.pair_scores`, one entry per pair."""
        pairs = first_pairs(dataset.pairs(), limit)
        return pair_scores(pairs, identities(dataset, pairs), evidence, judge)

    def reduce(self, scores: Scores) -> Reduction:
        """TAR with published and with recovered probes, realised FAR and AUC.

        Raises:
            BadData: No genuine pair was scored.
            UnreachableFar: The scored pairs cannot resolve the FAR.
        """
        pairs = scored_pairs(scores, self.options.undetected)
        tar, far = self._rates(pairs, "tar")
        return Reduction(
            metrics=(
                tar,
                self._recovered(scores),
                far,
                self._auc(pairs),
            ),
            counts=pair_counts(scores, self.options.undetected),
        )

    def _auc(self, pairs: ScoredPairs) -> Metric:
        auc = roc_auc(pairs.distance[pairs.same], pairs.distance[~pairs.same])
        interval = self._bootstrap(
            pairs, lambda drawn: auc_replicates(pairs, drawn), "no threshold"
        )
        return metric(self.card, "auc", auc, len(pairs.same), intervals=(interval,))

    def _recovered(self, scores: Scores) -> Metric:
        restored = of_recovered(scores)
        if restored is None:
            return no_metric(self.card, "tar_recovered", NOT_REVERSIBLE)
        try:
            pairs = scored_pairs(restored, self.options.undetected)
        except BadData as error:
            return no_metric(self.card, "tar_recovered", f"{error.what} {error.why}")
        return self._rates(pairs, "tar_recovered")[0]

    def _rates(self, pairs: ScoredPairs, name: str) -> tuple[Metric, Metric]:
        """A TAR and the FAR that belongs to it."""
        outcome = verify(pairs, self.options.far, self.options.rule)
        far = float(np.nanmean(outcome.far))
        detail = {
            "far": far,
            "far_target": self.options.far,
            "threshold": float(outcome.threshold.mean()),
            "threshold_std": float(outcome.threshold.std()),
            "accepted": outcome.accepted,
            "folds": int((~np.isnan(outcome.tar)).sum()),
        }
        exact = exact_interval(outcome.accepted, outcome.genuine)
        return (
            metric(
                self.card,
                name,
                float(np.nanmean(outcome.tar)),
                outcome.genuine,
                std=float(np.nanstd(outcome.tar)),
                std_of=STD_OF,
                intervals=(self._tar_interval(pairs), exact),
                detail=detail,
            ),
            metric(
                self.card,
                "far",
                far,
                outcome.impostor,
                std=float(np.nanstd(outcome.far)),
                std_of=STD_OF,
            ),
        )

    def _tar_interval(self, pairs: ScoredPairs) -> Interval:
        far, rule = self.options.far, self.options.rule
        threshold = f"thresholds chosen anew in each by the rule '{rule}'"
        return self._bootstrap(
            pairs, lambda drawn: tar_replicates(pairs, far, rule, drawn), threshold
        )

    def _bootstrap(
        self, pairs: ScoredPairs, replicates: Callable[[Ints], Floats], threshold: str
    ) -> Interval:
        """The interval of a statistic, from how often each person is drawn to its replicates."""
        options = self.options
        strata, disjoint = identity_strata(pairs)
        drawn = multiplicities(strata, options.bootstrap, options.bootstrap_seed)
        found = replicates(drawn)
        return bootstrap_interval(found, strata, disjoint, options.bootstrap_seed, threshold)
