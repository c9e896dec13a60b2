"""Embeddings of the same images in several sources, row beside row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonbench.interfaces import Evidence
from anonbench.measuring.images import image_counts
from anonbench.metrics.verification import unit_vectors
from anonbench.results.record import Counts
from anonbench.values import Scores, Source

UNUSABLE = "unusable embedding"
_UNSEEN = "unseen_"


@dataclass(frozen=True)
class Joined:
    """Embeddings of N images in each of several sources.

    Attributes:
        ids: Images with a usable embedding in every source, in the order they were asked for.
        vectors: `[N, D]` float32 per source, as the judge gave them, each with a direction.
        unseen: Per source, how many of them are judged in the fallback box, for lack of a face.
        failed: Why others are not among them: the first source that fails, and its reason.
    """

    ids: tuple[str, ...]
    vectors: Mapping[Source, NDArray[np.float32]]
    unseen: Mapping[Source, int]
    failed: Mapping[str, str]

    @property
    def unseen_scores(self) -> Scores:
        """`unseen` as scores, which `joined_counts` reads."""
        return {f"{_UNSEEN}{source}": np.array(count) for source, count in self.unseen.items()}


def joined_embeddings(
    evidence: Evidence, judge: str, sources: Sequence[Source], ids: Sequence[str]
) -> Joined:
    """What a recogniser says of images in several sources; one that fails in any is left out."""
    told = {source: evidence.embeddings(source, judge) for source in sources}
    rows: dict[Source, dict[str, int]] = {}
    failed: dict[str, str] = {}
    for source, some in told.items():
        directed = ~np.isnan(unit_vectors(some.vectors).sum(axis=1))
        usable = {i: row for row, i in enumerate(some.ids) if directed[row]}
        rows[source] = usable
        lost = {i: some.failed.get(i, UNUSABLE) for i in ids if i not in usable}
        failed |= {i: f"{source}: {why}" for i, why in lost.items() if i not in failed}
    good = tuple(i for i in ids if i not in failed)
    places = {source: [usable[i] for i in good] for source, usable in rows.items()}
    return Joined(
        ids=good,
        vectors={source: some.vectors[places[source]] for source, some in told.items()},
        unseen={source: int((~some.found[places[source]]).sum()) for source, some in told.items()},
        failed={i: failed[i] for i in ids if i in failed},
    )


def joined_counts(scores: Scores) -> Counts:
    """The counts of `image_counts`, and in how many images of each source no face was found."""
    counts = image_counts(scores)
    unseen = {
        f"{name.removeprefix(_UNSEEN)} images without a face": int(count)
        for name, count in scores.items()
        if name.startswith(_UNSEEN)
    }
    return counts.model_copy(update={"detail": {**counts.detail, **unseen}})
