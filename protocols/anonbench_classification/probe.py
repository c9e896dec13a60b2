"""The recipe `probe`: multinomial logistic regression on the embeddings of a judge."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anonbench.errors import BadData
from anonbench.interfaces import Evidence
from anonbench.measuring.embeddings import joined_embeddings
from anonbench.metrics.verification import unit_vectors
from anonbench.values import Scores, Source
from anonbench_classification.accuracy import Classify, Labels
from anonbench_classification.options import AccuracyOptions

STEPS = 10_000
"""Steps of L-BFGS after which the regression counts as failed; it takes some hundred."""


class Probe:
    """A linear classifier on normalised embeddings, which themselves stay as they are.

    Args:
        evidence: Has the embeddings.
        judge: Whose.
        sources: Of what.
        ids: Which images.
        options: Have the `strength`.
    """

    def __init__(
        self,
        evidence: Evidence,
        judge: str,
        sources: Sequence[Source],
        ids: Sequence[str],
        options: AccuracyOptions,
    ) -> None:
        joined = joined_embeddings(evidence, judge, sources, ids)
        self.ids, self.failed = joined.ids, dict(joined.failed)
        self.notes: Scores = joined.unseen_scores
        self._vectors = {source: unit_vectors(some) for source, some in joined.vectors.items()}
        self._strength = options.strength

    def learn(self, source: Source, rows: Labels, labels: Labels) -> Classify:
        """A classifier taught with these rows of a source.

        Raises:
            BadData: The regression does not converge.
        """
        from sklearn.linear_model import LogisticRegression  # takes a second to import

        model = LogisticRegression(C=self._strength, max_iter=STEPS)
        model.fit(self._vectors[source][rows], labels)
        if model.n_iter_.max() >= STEPS:
            raise BadData(
                f"The classifier of {source} images does not converge in {STEPS} steps.",
                mend="Lower the setting `strength`.",
            )

        def classify(other: Source, rows: Labels) -> Labels:
            told: NDArray[np.int64] = model.predict(self._vectors[other][rows])
            return told

        return classify
