"""`identity-map`: where people's faces lie as originals, anonymized and recovered."""

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.interfaces import Dataset, Evidence
from anonbench.measuring import metric, no_metric, read_settings
from anonbench.measuring.embeddings import joined_counts, joined_embeddings
from anonbench.measuring.images import image_scores, mean_interval, used
from anonbench.measuring.people import Draw, drawn_people
from anonbench.metrics.embedding import cluster_distances, pca
from anonbench.metrics.verification import unit_vectors
from anonbench.results.record import Metric, Reduction
from anonbench.values import Needs, Scores, Source
from anonbench_similarity.maps import cosine_tsne
from anonbench_similarity.options import MapOptions

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LEAST_IMAGES = 2
"""Of each person: a centroid of one image is no centroid."""


class IdentityMap:
    """Some people's images are embedded as originals, published and recovered, and mapped.

    Originals are the method's crops at 8 bits.

    Args:
        card: Its config has `people`, `images`, `seed`, `perplexity`, `bootstrap`,
            `bootstrap_seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(MapOptions, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """Images of people with two or more, as they are, published and recovered.

        Raises:
            BadData: The dataset has too few such people.
        """
        ids = self._ids(dataset, limit)
        return Needs(reference=ids, published=ids, recovered=ids)

    def _ids(self, dataset: Dataset, limit: int | None) -> tuple[str, ...]:
        options = self.options
        draw = Draw(options.people, options.images, LEAST_IMAGES, options.seed)
        people = drawn_people(self.card.name, dataset, draw, limit)
        return tuple(sorted(image for images in people.values() for image in images))

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Scores of N images in S sources.

        Returns:
            The arrays of `images.image_scores`; `source` (`[S]`), `vectors` (`[N, S, D]` float32
            as the judge gave them), and of all normalised vectors together `tsne2`, `pca2`
            (`[N, S, 2]`), `tsne3`, `pca3` (`[N, S, 3]`) and `perplexity`; `not_recovered` where
            there is nothing recovered: why.
        """
        sources: tuple[Source, ...] = ("reference", "published")
        lacking = evidence.lacks("recovered")
        sources += () if lacking else ("recovered",)
        joined = joined_embeddings(evidence, judge, sources, self._ids(dataset, limit))
        vectors = np.stack([joined.vectors[source] for source in sources], axis=1)
        totals: Scores = {"source": np.array(sources, np.str_)}
        totals |= joined.unseen_scores
        if lacking:
            totals["not_recovered"] = np.array(lacking)
        maps, perplexity = self._maps(vectors)
        columns = {"vectors": vectors, **maps}
        return image_scores(dataset, joined.ids, joined.failed, columns) | perplexity | totals

    def _maps(self, vectors: NDArray[np.float32]) -> tuple[Scores, Scores]:
        """Maps of `[N, S, D]` vectors, and the perplexity used; none where there are too few."""
        points = vectors.reshape(-1, vectors.shape[2])
        maps: Scores = {}
        used_perplexity: Scores = {}
        for dims in (2, 3):
            made = cosine_tsne(points, dims, self.options)
            if made is not None:
                maps[f"tsne{dims}"] = made.points.reshape(*vectors.shape[:2], dims)
                flat = pca(unit_vectors(points), dims)
                maps[f"pca{dims}"] = flat.reshape(*vectors.shape[:2], dims)
                used_perplexity = {"perplexity": np.array(made.perplexity)}
        return maps, used_perplexity

    def reduce(self, scores: Scores) -> Reduction:
        """How far people move and come back, and how far apart they are anonymized.

        Raises:
            BadData: No image could be measured.
        """
        good = used(scores)
        identity = scores["identity"][good].astype(np.int64)
        clouds = _by_source(scores, good)
        metrics = (
            self._distance("displacement", clouds, "published", identity),
            self._return_distance(scores, clouds, identity),
            self._separation(clouds, identity),
        )
        return Reduction(metrics=metrics, counts=joined_counts(scores))

    def _return_distance(
        self, scores: Scores, clouds: dict[str, Floats], identity: Codes
    ) -> Metric:
        if "recovered" not in clouds:
            return no_metric(self.card, "return-distance", str(scores["not_recovered"]))
        return self._distance("return-distance", clouds, "recovered", identity)

    def _distance(
        self, name: str, clouds: dict[str, Floats], other: str, identity: Codes
    ) -> Metric:
        """Mean over people of the distance from their original to another source."""
        both = [clouds["reference"], clouds[other]]
        source = np.repeat([0, 1], len(identity))
        found = cluster_distances(np.concatenate(both), np.tile(identity, 2), source)
        distances = found.distances[:, 0, 1]
        people = found.identities.astype(np.int64)
        return metric(
            self.card,
            name,
            distances.mean(),
            len(distances),
            std=distances.std(),
            std_of="people, population",
            intervals=(mean_interval(self.options, distances, people),),
        )

    def _separation(self, clouds: dict[str, Floats], identity: Codes) -> Metric:
        """Mean silhouette of published images; beside it those of the other sources."""
        if not 2 <= len(np.unique(identity)) < len(identity):
            return no_metric(self.card, "separation", "no two people with several images are left")
        values = _silhouettes(clouds["published"], identity)
        detail = {
            f"of {title}": float(_silhouettes(clouds[source], identity).mean())
            for source, title in (("reference", "originals"), ("recovered", "recovered images"))
            if source in clouds
        }
        return metric(
            self.card,
            "separation",
            values.mean(),
            len(values),
            std=values.std(),
            std_of="images, population",
            intervals=(mean_interval(self.options, values, identity),),
            detail=detail,
        )


def _silhouettes(vectors: Floats, identity: Codes) -> Floats:
    """`[N]` Rousseeuw's silhouettes of images as members of their person's cluster, by cosine."""
    from sklearn.metrics import silhouette_samples  # takes a second to import

    values: Floats = silhouette_samples(unit_vectors(vectors), identity, metric="cosine")
    return values


def _by_source(scores: Scores, good: NDArray[np.bool_]) -> dict[str, Floats]:
    """`[n, D]` vectors of the used images in each source."""
    vectors = scores["vectors"][good].astype(np.float64)
    return {str(source): vectors[:, at] for at, source in enumerate(scores["source"])}
