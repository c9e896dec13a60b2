"""What the parts of the suite promise each other: values and behaviour.

The behaviour is a handful of small typing protocols; a plug-in needs no base class from here. Its
card is one of `anonbench.cards`.

Conventions inside the suite: images are float32 RGB tensors `[B, 3, H, W]` in `[0, 1]`, decoded
image files are uint8 RGB arrays `[H, W, 3]`, coordinates are pixels `(x, y)` with the centre of
the top left pixel at `(0, 0)`. Devices are strings that torch understands: `cpu`, `cuda:0`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from anonbench.cards import DatasetCard, JudgeCard, MethodCard, ProtocolCard
    from anonbench.data.manifest import Manifest
    from anonbench.results.record import Reduction

Source = Literal["original", "reference", "published", "recovered"]


# --------------------------------------------------------------------------------------- values
@dataclass(frozen=True)
class Sample:
    """One image of a dataset: `id` is its POSIX path below the root, `identity` its person."""

    id: str
    identity: str


@dataclass(frozen=True)
class Pair:
    """A verification pair in a fold; `same` says whether it is genuine. `a` and `b` are ids."""

    fold: int
    a: str
    b: str
    same: bool


@dataclass(frozen=True)
class Face:
    """A face found in an image, in that image's pixels.

    Attributes:
        box: `(left, top, right, bottom)`.
        score: The detector's own confidence.
        points5: `[5, 2]` in ArcFace order: the eye at the image's left, the other eye, nose tip,
            the mouth corner at the image's left, the other corner.
        points68: `[68, 2]` in iBUG order, or None.
        dlib5: `[5, 2]` of dlib's 5-point predictor (eye corners and nose base), or None.
        whole: `(width, height)` of an image that is, as a whole, an FFHQ-aligned crop; else None.
    """

    box: NDArray[np.float64]
    score: float
    points5: NDArray[np.float64]
    points68: NDArray[np.float64] | None = None
    dlib5: NDArray[np.float64] | None = None
    whole: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Needs:
    """What a protocol wants computed.

    Attributes:
        original: Ids to judge as they are.
        reference: Ids whose originals are judged as the method's crops at 8 bits: what a perfect
            recovery would be, and what a method that changes nothing publishes.
        published: Ids to judge published.
        recovered: Ids to judge recovered; nothing comes of it for a method that cannot.
        bits: Ids whose hidden bits are read; likewise.
        seeds: With how many consecutive seeds, from the run's own, images are published and
            recovered. For a method that draws nothing, one is enough and there is only one.
    """

    original: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    bits: tuple[str, ...] = ()
    seeds: int = 1


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of one judge on one source.

    Attributes:
        ids: N sample ids; an image that failed is not among them.
        vectors: `[N, D]` float32, as the judge gave them (not normalised).
        found: `[N]` bool; False where no face was found and the fallback box was used.
        failed: Reason per sample id that has no embedding.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    found: NDArray[np.bool_]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Distances:
    """How far a perceptual judge sees one source from the originals.

    Attributes:
        ids: N sample ids; an image that failed is not among them.
        values: `[N]` float64.
        failed: Reason per sample id that has no distance.
    """

    ids: tuple[str, ...]
    values: NDArray[np.float64]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Crops:
    """The crops of one sample from several sources, all in the frame of the method's template.

    Attributes:
        id: The sample.
        images: One `[S, S, 3]` float32 RGB image in `[0, 1]` per source; none where it failed.
        failed: Why there are no images, or empty.
    """

    id: str
    images: tuple[NDArray[np.float32], ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class Traits:
    """What a detector or a describing judge says of one sample in several sources.

    Attributes:
        id: The sample.
        values: Per source an array `[D]` for each of the judge's traits; none where it failed.
        found: Per source whether there is a face: found by the judge itself where it looks at
            the method's crop, by the run's detector where it is shown an aligned one. Values of
            a source without a face mean nothing.
        failed: Why there are no values, or empty.
    """

    id: str
    values: tuple[Mapping[str, NDArray[np.floating]], ...] = ()
    found: tuple[bool, ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class Bits:
    """Hidden bits: those that were embedded, and those that were read from published images.

    Attributes:
        ids: N sample ids; an image that failed is not among them.
        embedded: `[N, ceil(count / 8)]` uint8, eight bits a byte, the first one highest.
        read: The same of what was read.
        count: Bits per image.
        format: What they stand for, as in the method's card.
        failed: Reason per sample id that has none.
    """

    ids: tuple[str, ...]
    embedded: NDArray[np.uint8]
    read: NDArray[np.uint8]
    count: int
    format: Literal["bits", "float32"]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """One network of a method, with any weights.

    Attributes:
        name: What results call it.
        module: The network.
        inputs: What its `forward` takes for one image: tensors, sequences of them, or None.
        core: Whether it belongs to what papers count, the generator; not what stands beside it.
    """

    name: str
    module: nn.Module
    inputs: tuple[Tensor | Sequence[Tensor] | None, ...]
    core: bool = False


Scores = dict[str, "NDArray[np.generic]"]


def sample_key(seed: int, sample_id: str) -> bytes:
    """The 32-byte key of a sample: SHA-256 over the run's seed and the sample's id.

    All randomness of a sample derives from it, so results depend neither on the batch nor on
    the order nor on the number of workers.
    """
    return hashlib.sha256(f"{seed}\n{sample_id}".encode()).digest()


# ------------------------------------------------------------------------------------ behaviour
@runtime_checkable
class Method(Protocol):
    """Turns face crops into anonymized crops. Built as `Attr(card, device)`."""

    card: MethodCard

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Anonymize crops.

        Args:
            faces: `[B, 3, H, W]` float32 in `[0, 1]`, aligned to `card.template`.
            keys: B keys of 32 bytes (`sample_key`), all that may be random about an image.

        Returns:
            `[B, 3, H, W]` float32 in `[0, 1]`.
        """
        ...


@runtime_checkable
class ReversibleMethod(Method, Protocol):
    """A method that can restore what it anonymized."""

    def recover(self, published: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Restore crops from what a recipient has: the published pixels and the keys."""
        ...


@runtime_checkable
class HidesPassword(Protocol):
    """A method that hides bits in the image it publishes."""

    def hidden_bits(self, faces: Tensor) -> Tensor:
        """The `[B, hidden_bits]` bool tensor that `anonymize` embeds for these crops."""
        ...

    def extract_bits(self, published: Tensor) -> Tensor:
        """The `[B, hidden_bits]` logits read from published images; positive means 1."""
        ...


@runtime_checkable
class Profiled(Protocol):
    """A method's class that shows its networks, so that they can be counted and timed."""

    def parts(self, card: MethodCard) -> Sequence[Part]:
        """Every network that anonymizing and recovering run; of the class, not of an instance.

        Weights are arbitrary: none are fetched, and none need be present. What a method takes as
        others trained it requires no gradient. A method without networks has no parts; its
        `anonymize` is timed instead.
        """
        ...


class Detector(Protocol):
    """A judge of kind `detection`. Built as `Attr(card, device)`."""

    card: JudgeCard

    def detect(self, image: NDArray[np.uint8], upsample: int = 1) -> list[Face]:
        """All faces in an RGB image `[H, W, 3]`, best score first."""
        ...

    def landmarks(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> Face:
        """The face in a given box, found or not: landmarks are fitted into the box."""
        ...


class Recogniser(Protocol):
    """A judge of kind `recognition`. Built as `Attr(card, device)`."""

    card: JudgeCard

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, card.dim]` of crops `[B, 3, S, S]` in `[0, 1]`, not normalised."""
        ...


class Describer(Protocol):
    """A judge of kind `landmarks`, `geometry`, `pose`, `expression` or `features`.

    Built as `Attr(card, device)`.
    """

    card: JudgeCard

    def describe(self, crops: Tensor) -> Mapping[str, Tensor]:
        """The traits of its card, `[B, D]` each, of crops `[B, 3, S, S]` in `[0, 1]`.

        Where it finds no face in a crop, that row is NaN in all of them.
        """
        ...


class PerceptualJudge(Protocol):
    """A judge of kind `perceptual`. Built as `Attr(card, device)`."""

    card: JudgeCard

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances `[B]` between two batches of images `[B, 3, H, W]` in `[0, 1]`."""
        ...


class Dataset(Protocol):
    """Images on disk. Built as `Attr(card, root)`, where root is the dataset's own folder."""

    card: DatasetCard
    root: Path

    def samples(self) -> Sequence[Sample]:
        """All samples, sorted by id."""
        ...

    def pairs(self) -> Sequence[Pair]:
        """Verification pairs in their official order; BadData where the dataset has none."""
        ...

    def read(self, sample_id: str) -> NDArray[np.uint8]:
        """The image of a sample, RGB `[H, W, 3]`; BadImage where it cannot be used."""
        ...

    def manifest(self) -> Manifest:
        """Every file of the dataset with size and sha256."""
        ...


class Evidence(Protocol):
    """What the engine computed for a protocol's `Needs`."""

    @property
    def method(self) -> MethodCard:
        """The card of the method that was run."""
        ...

    @property
    def device(self) -> str:
        """The device that networks run on, as `--device` names it."""
        ...

    @property
    def side(self) -> int:
        """Side of the method's crops in pixels."""
        ...

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds with which there are published images, the run's own first."""
        ...

    def lacks(self, source: Source) -> str:
        """Why a source does not exist for this method (`not reversible`), or nothing."""
        ...

    def embeddings(self, source: Source, judge: str, seed: int | None = None) -> Embeddings:
        """Embeddings of one recogniser on one source of images; the run's own seed if None."""
        ...

    def traits(self, judge: str, *sources: Source) -> Iterator[Traits]:
        """What a detector or a describing judge says, sample by sample.

        Of every sample that was needed of all these sources, in the order of the needs.
        """
        ...

    def distances(self, source: Source, judge: str) -> Distances:
        """Distances of one perceptual judge between the originals and another source."""
        ...

    def crops(self, *sources: Source) -> Iterator[Crops]:
        """The crops of every sample that was needed of all these sources, one at a time.

        The original is there for each of them, needed or not.
        """
        ...

    def bits(self) -> Bits:
        """The hidden bits of a method that hides some."""
        ...


class BenchProtocol(Protocol):
    """What is measured on which data and how. Built as `Attr(card)`; options are in its config."""

    card: ProtocolCard

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """What has to be computed; raises a UserError where it cannot be measured at all."""
        ...

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Per-sample or per-pair scores of one judge, as named arrays that are stored.

        Where a metric of the card needs no judge, it is also called with an empty name, for the
        scores behind those metrics.
        """
        ...

    def reduce(self, scores: Scores) -> Reduction:
        """The metrics and the sample counts that follow from the scores alone."""
        ...
