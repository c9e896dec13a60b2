"""What was computed for a protocol's needs, read from the store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import JudgeCard, MethodCard
from anonbench.data.align import template
from anonbench.engine import latents
from anonbench.engine.faces import Frame, Item, Originals, Published, join_items
from anonbench.engine.job import Job
from anonbench.engine.store import Artefact, Row
from anonbench.engine.wrong_keys import wrong_counts
from anonbench.errors import BadImage
from anonbench.results.record import Remark
from anonbench.values import (
    Bits,
    Crops,
    Distances,
    Embeddings,
    Numbers,
    Source,
    Traits,
    WrongBits,
)


@dataclass
class Gathered:
    """One source of images: which, where from, and what was computed about them.

    Attributes:
        ids: Samples to judge.
        label: What they are, for the progress display.
        images: How to read them.
        stored: Where they are stored, unless they are originals.
        faces: Their faces, where a recogniser needs them.
        judged: What each judge made of them, by its name.
        remarks: What the method said about all that it published, judged or not.
    """

    ids: tuple[str, ...]
    label: str
    images: Originals | Published
    stored: Artefact | None = None
    faces: Artefact | None = None
    judged: dict[str, Artefact] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Password:
    """The hidden bits of some samples: those embedded and those read."""

    ids: tuple[str, ...]
    embedded: Artefact
    read: Artefact

    def numbers(self, ids: Sequence[str]) -> Numbers:
        """What the bits of some samples stand for by the method's own code."""
        return Numbers(
            hidden=_column(self.embedded, ids, "numbers", np.float32),
            embedded=_column(self.embedded, ids, "decoded", np.float32),
            read=_column(self.read, ids, "decoded", np.float32),
        )


@dataclass(frozen=True)
class Collected:
    """The evidence of one job.

    Attributes:
        job: The job.
        frame: The frame of its method's crops.
        original_faces: Faces of the originals, which fix that frame.
        by_seed: What was computed about each source with each seed; one that does not exist is
            absent, and originals are there under the run's own seed.
        password: Hidden bits, where they were needed.
        misled: What wrong bits of a password do, likewise.
    """

    job: Job
    frame: Frame
    original_faces: Artefact
    by_seed: dict[int, dict[Source, Gathered]]
    password: Password | None = None
    misled: Artefact | None = None

    @property
    def method(self) -> MethodCard:
        """The card of the method that was run."""
        return self.job.method

    @property
    def device(self) -> str:
        """The device that networks run on, as `--device` names it."""
        return self.job.config.device

    @property
    def side(self) -> int:
        """Side of the method's crops in pixels."""
        return template(self.method.template).size

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds with which there are published images, the run's own first."""
        return tuple(self.by_seed)

    @property
    def sources(self) -> dict[Source, Gathered]:
        """What was computed about each source with the run's own seed."""
        return self.by_seed[self.job.seed]

    @property
    def latent_bytes(self) -> int:
        """Bytes that are kept of each image for its recovery, beside what is published."""
        published = self.sources["published"].stored
        if published is None or not self.method.needs_latent:
            return 0
        return latents.bytes_per_image(published, self.sources["recovered"].ids)

    def lacks(self, source: Source) -> str:
        """Why a source does not exist for this method, or nothing."""
        return "" if source in self.sources else "not reversible"

    def embeddings(self, source: Source, judge: str, seed: int | None = None) -> Embeddings:
        """Embeddings of one recogniser on one source of images."""
        gathered = (self.sources if seed is None else self.by_seed[seed])[source]
        good, failed, rows = _judged(gathered, judge)
        found: Any = [row["found"] for row in gathered.faces.read(good)] if gathered.faces else []
        vectors: Any = [row["vector"] for row in rows]
        return Embeddings(
            ids=good,
            vectors=np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
            found=np.array(found, bool),
            failed=failed,
        )

    def traits(self, judge: str, *sources: Source) -> Iterator[Traits]:
        """What a detector or a describing judge says, sample by sample."""
        card = next(card for card in self.job.judges if card.name == judge)
        gathered = [self.sources[source] for source in sources]
        artefacts = [one.judged[judge] for one in gathered]
        ids = _common_ids(gathered)
        failed = {i: reason for one in artefacts for i, reason in one.failed(ids).items()}
        yield from (Traits(sample_id, failed=reason) for sample_id, reason in failed.items())
        good = [i for i in ids if i not in failed]
        for rows in zip(*(artefact.read(good) for artefact in artefacts), strict=True):
            values = tuple(_traits_of(row, card) for row in rows)
            yield Traits(rows[0].id, values, tuple(bool(row["found"]) for row in rows))

    def distances(self, source: Source, judge: str) -> Distances:
        """Distances of one perceptual judge between the originals and another source."""
        good, failed, rows = _judged(self.sources[source], judge)
        values: Any = [row["distance"] for row in rows]
        return Distances(good, np.array(values, np.float64), failed)

    def crops(self, *sources: Source) -> Iterator[Crops]:
        """The crops of every sample that was needed of all these sources, one at a time."""
        gathered = [self.sources[source] for source in sources]
        ids = _common_ids(gathered)
        artefacts = [one.stored for one in gathered if one.stored] + [self.original_faces]
        failed = {i: reason for some in artefacts for i, reason in some.failed(ids).items()}
        yield from (Crops(sample_id, failed=reason) for sample_id, reason in failed.items())
        good = [i for i in ids if i not in failed]
        streams = [join_items(good, one.stored, self.original_faces) for one in gathered]
        for sample_id, *items in zip(good, *streams, strict=True):
            yield self._crops(sample_id, gathered, items)

    def _crops(self, sample_id: str, gathered: Sequence[Gathered], items: Sequence[Item]) -> Crops:
        pairs = zip(gathered, items, strict=True)
        try:
            return Crops(sample_id, tuple(self.frame.crop(item, one.images) for one, item in pairs))
        except BadImage as error:
            return Crops(sample_id, failed=str(error))

    def bits(self) -> Bits:
        """The hidden bits of a method that hides some, for a protocol that needed them."""
        if self.password is None:
            raise LookupError(f"no bits of '{self.method.name}' were computed")
        card, ids = self.method, self.password.ids
        sides = (self.password.embedded, self.password.read)
        failed = {i: reason for side in sides for i, reason in side.failed(ids).items()}
        good = tuple(i for i in ids if i not in failed)
        width = (card.hidden_bits + 7) // 8
        embedded, read = (
            _column(side, good, "bits", np.uint8).reshape(-1, width) for side in sides
        )
        learned = card.hidden_format == "learned" and good
        numbers = self.password.numbers(good) if learned else None
        return Bits(good, embedded, read, card.hidden_bits, card.hidden_format, failed, numbers)

    def wrong_bits(self) -> WrongBits:
        """What wrong bits do, of a method with password bits, for a protocol that needed it."""
        if self.misled is None:
            raise LookupError(f"no wrong bits of '{self.method.name}' were computed")
        ids, counts = self.sources["misrecovered"].ids, wrong_counts(self.method.password_bits)
        failed = self.misled.failed(ids)
        good = tuple(i for i in ids if i not in failed)
        differences = _column(self.misled, good, "differences", np.float64)
        return WrongBits(good, np.array(counts), differences.reshape(-1, len(counts)), failed)


def _column(artefact: Artefact, ids: Sequence[str], name: str, of: type) -> NDArray[Any]:
    """One column of arrays, stacked."""
    return np.array([row[name] for row in artefact.read(ids, only=name)], of)


def _traits_of(row: Row, card: JudgeCard) -> dict[str, NDArray[np.floating]]:
    """The traits in a row; landmarks of a detector are stored with their number in the name."""
    columns: dict[str, Any] = dict(row)
    if card.kind == "detection":
        columns["points"] = columns[f"points{card.traits['points'] // 2}"].ravel()
    return {name: columns[name] for name in card.traits}


def _judged(
    gathered: Gathered, judge: str
) -> tuple[tuple[str, ...], dict[str, str], Iterator[Row]]:
    """The samples that a judge judged, why not the others, and its rows."""
    if not gathered.ids:
        return (), {}, iter(())
    artefact = gathered.judged[judge]
    failed = artefact.failed(gathered.ids)
    good = tuple(i for i in gathered.ids if i not in failed)
    return good, failed, artefact.read(good)


def _common_ids(gathered: Sequence[Gathered]) -> list[str]:
    """Samples of all sources; an original is there for each of them."""
    stored = [one for one in gathered if one.stored] or gathered
    others = [set(one.ids) for one in stored[1:]]
    return [i for i in stored[0].ids if all(i in other for other in others)]
