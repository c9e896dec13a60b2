"""`diversity`: how different the dummy identities are that a method gives to one face."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.errors import BadData
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import metric, no_metric, read_settings
from anonbench.measuring.embeddings import UNUSABLE
from anonbench.measuring.images import used
from anonbench.metrics.bootstrap import multiplicities, percentile_interval
from anonbench.metrics.embedding import effective_rank, mean_cosine
from anonbench.metrics.verification import unit_vectors
from anonbench.results.record import Counts, Interval, Metric, Reduction
from anonbench.values import Embeddings, Needs, Scores
from anonbench_similarity.maps import cosine_tsne
from anonbench_similarity.options import DiversityOptions

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]


class Diversity:
    """A few faces are anonymized again and again, and the embeddings compared with each other.

    A dummy identity is a seed: the run's own, then those that follow.

    Args:
        card: Its config has `faces`, `identities`, `perplexity`, `seed`, `bootstrap`,
            `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(DiversityOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """The first image of each of the first people, published with every seed.

        Raises:
            BadData: The dataset has fewer people than asked for.
        """
        faces = self._faces(dataset, limit)
        return Needs(reference=faces, published=faces, seeds=self.options.identities)

    def _faces(self, dataset: Dataset, limit: int | None) -> tuple[str, ...]:
        first: dict[str, str] = {}
        for sample in dataset.samples():
            first.setdefault(sample.identity, sample.id)
        if len(first) < self.options.faces:
            raise BadData(
                f"{self.card.name} needs faces of {self.options.faces} people; "
                f"{dataset.card.name} has {len(first)}.",
                mend=f"Write {self.card.name}:faces={len(first)}" if len(first) > 1 else "",
            )
        return tuple(first.values())[: self.options.faces][:limit]

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of F faces with K dummy identities.

        Returns:
            `image` (`[F]` sample ids), `seed` (`[K]`), `vectors` (`[F, K, D]` float32 as the judge
            gave them, NaN where one failed), `original` (`[F, D]` likewise), `failed` (`[F, K]`
            why, or empty), `unseen` (`[F, K]`, judged in the fallback box for lack of a face),
            `map` (`[F, K, 2]`, the t-SNE of the normalised vectors) and `perplexity`, the map's.
        """
        faces = self._faces(dataset, limit)
        told = [evidence.embeddings("published", judge, seed) for seed in evidence.seeds]
        reference = evidence.embeddings("reference", judge)
        dim = max(some.vectors.shape[1] for some in (*told, reference))
        vectors = np.stack([_vectors(some, faces, dim) for some in told], axis=1)
        scores: Scores = {
            "image": np.array(faces, np.str_),
            "seed": np.array(evidence.seeds, np.int64),
            "vectors": vectors,
            "original": _vectors(reference, faces, dim),
            "failed": np.where(np.isnan(vectors).all(axis=2), _reasons(told, faces), ""),
            "unseen": np.array([[_unseen(some, i) for some in told] for i in faces], np.bool_),
        }
        return scores | self._map(vectors)

    def _map(self, vectors: Vectors) -> Scores:
        """The map of `[F, K, D]` vectors; nothing where there are too few."""
        usable = ~np.isnan(vectors).any(axis=2)
        made = cosine_tsne(vectors[usable], 2, self.options)
        if made is None:
            return {}
        points = np.full((*usable.shape, 2), np.nan)
        points[usable] = made.points
        return {"map": points, "perplexity": np.array(made.perplexity)}

    def reduce(self, scores: Scores) -> Reduction:
        """Cosines within and between faces, and the effective rank of all embeddings.

        Raises:
            BadData: No image could be measured.
        """
        counts = _counts(scores)
        usable = scores["failed"].astype(np.str_) == ""
        several = np.flatnonzero(usable.sum(axis=1) > 1)
        clouds = [scores["vectors"][face][usable[face]].astype(np.float64) for face in several]
        if not clouds:
            one = len(scores["seed"]) == 1
            reason = "draws nothing at random" if one else "no face has two images to compare"
            nothing = [no_metric(self.card, spec.name, reason) for spec in self.card.metrics]
            return Reduction(metrics=tuple(nothing), counts=counts)
        originals = scores["original"][several].astype(np.float64)
        metrics = self._within(clouds, originals), self._between(clouds), self._rank(clouds)
        return Reduction(metrics=metrics, counts=counts)

    def _within(self, clouds: Sequence[Floats], originals: Floats) -> Metric:
        """Mean over faces; beside it how near the images are to their original."""
        cosines = np.array([mean_cosine(cloud) for cloud in clouds])
        pairs = zip(clouds, unit_vectors(originals), strict=True)
        near = np.array([(unit_vectors(cloud) @ original).mean() for cloud, original in pairs])
        known = near[~np.isnan(near)]
        return metric(
            self.card,
            "within",
            cosines.mean(),
            len(cosines),
            std=cosines.std(),
            std_of="faces, population",
            intervals=self._interval(len(clouds), lambda drawn: drawn @ cosines / len(cosines)),
            detail={"cosine with the original": known.mean()} if len(known) else {},
        )

    def _between(self, clouds: Sequence[Floats]) -> Metric:
        """Mean over pairs of faces."""
        if len(clouds) < 2:
            return no_metric(self.card, "between", "there is only one face")
        # The mean cosine between two clouds is the product of the means of their unit vectors.
        means = np.array([unit_vectors(cloud).mean(axis=0) for cloud in clouds])
        cosines = means @ means.T
        np.fill_diagonal(cosines, 0)

        def mean(drawn: NDArray[np.int64]) -> Floats:
            totals = ((drawn @ cosines) * drawn).sum(axis=1)
            pairs = np.square(drawn.sum(axis=1)) - np.square(drawn).sum(axis=1)
            with np.errstate(invalid="ignore"):
                replicates: Floats = totals / pairs
            return replicates

        each = cosines[np.triu_indices(len(clouds), 1)]
        return metric(
            self.card,
            "between",
            each.mean(),
            len(each),
            std=each.std(),
            std_of="pairs of faces, population",
            intervals=self._interval(len(clouds), mean),
        )

    def _interval(
        self, faces: int, mean: Callable[[NDArray[np.int64]], Floats]
    ) -> tuple[Interval, ...]:
        """Resamples faces; none of a single one.

        Args:
            faces: How many there are.
            mean: From how often each is drawn `[R, F]` to the mean `[R]` of each replicate.
        """
        if faces < 2:
            return ()
        replicates, seed = self.options.bootstrap, self.options.bootstrap_seed
        drawn = multiplicities(np.zeros(faces, np.int64), replicates, seed)
        low, high = percentile_interval(mean(drawn))
        method = (
            f"percentile bootstrap over the {faces} faces, dummy identities as they are, "
            f"{replicates} replicates, seed {seed}"
        )
        return (Interval(low=low, high=high, method=method),)

    def _rank(self, clouds: Sequence[Floats]) -> Metric:
        """Of all embeddings together; without an interval, since doubles would lower it."""
        together = unit_vectors(np.concatenate(clouds))
        detail = {
            "mean of one face": float(np.mean([effective_rank(unit_vectors(c)) for c in clouds])),
            "highest possible": float(min(len(together) - 1, together.shape[1])),
        }
        rank = effective_rank(together)
        return metric(self.card, "effective-rank", rank, len(together), detail=detail)


def _vectors(some: Embeddings, faces: Sequence[str], dim: int) -> Vectors:
    """`[F, D]` vectors of the faces, NaN where there is none or it has no direction."""
    vectors = np.full((len(faces), dim), np.nan, np.float32)
    place = {i: row for row, i in enumerate(some.ids)}
    for row, face in enumerate(faces):
        if face in place:
            vectors[row] = some.vectors[place[face]]
    vectors[np.isnan(unit_vectors(vectors)).any(axis=1)] = np.nan
    return vectors


def _reasons(told: Sequence[Embeddings], faces: Sequence[str]) -> NDArray[np.str_]:
    """`[F, K]` why there is no vector, should there be none."""
    return np.array([[some.failed.get(i, UNUSABLE) for some in told] for i in faces], np.str_)


def _unseen(some: Embeddings, face: str) -> bool:
    return any(i == face and not found for i, found in zip(some.ids, some.found, strict=True))


def _counts(scores: Scores) -> Counts:
    """How many published images were measured; BadData if none."""
    failed = scores["failed"].astype(np.str_).ravel()
    good = used({"failed": failed})
    return Counts(
        unit="images",
        expected=len(failed),
        used=int(good.sum()),
        failed=dict(Counter(map(str, failed[~good]))),
        detail={
            "faces": len(scores["image"]),
            "dummy identities": len(scores["seed"]),
            "published images without a face": int(scores["unseen"].sum()),
        },
    )
