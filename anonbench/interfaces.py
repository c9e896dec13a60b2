"""What the parts of the suite promise each other: cards (data) and protocols (behaviour).

Cards are pydantic models read from a `card.toml`; they describe a plug-in without loading it,
so `anonbench list` needs neither torch nor weights. The behaviour is a handful of small typing
protocols; a plug-in needs no base class from here.

Conventions inside the suite: images are float32 RGB tensors `[B, 3, H, W]` in `[0, 1]`, decoded
image files are uint8 RGB arrays `[H, W, 3]`, coordinates are pixels `(x, y)` with the centre of
the top left pixel at `(0, 0)`. Devices are strings that torch understands: `cpu`, `cuda:0`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from anonbench.errors import BadConfig

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from anonbench.data.manifest import Manifest
    from anonbench.results.record import Reduction

ConfigValue = bool | int | float | str
Source = Literal["original", "published", "recovered"]
JudgeKind = Literal[
    "recognition", "detection", "landmarks", "geometry", "pose", "expression", "perceptual"
]


# ---------------------------------------------------------------------------------------- cards
class Card(BaseModel):
    """What every plug-in says about itself.

    Attributes:
        name: The registered name.
        version: Bumped whenever the same input may give another output; part of every key.
        title: Name as printed in tables.
        summary: One sentence for `anonbench list`.
        licence: SPDX identifier or the publisher's words.
        research_only: Whether the licence forbids other than research use.
        citation: How to cite it.
        extras: Extras of anonbench that it needs (`torch`, `faces` ...).
        config: Parameters with their default values; a user changes one with `NAME:key=value`.
        suite_config: Default values that are others in a suite, by the suite's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = 1
    title: str
    summary: str
    licence: str
    research_only: bool = False
    citation: str = ""
    extras: tuple[str, ...] = ("torch",)
    config: dict[str, ConfigValue] = Field(default_factory=dict)
    suite_config: dict[str, dict[str, ConfigValue]] = Field(default_factory=dict)

    def configured(self, config: Mapping[str, ConfigValue]) -> Self:
        """This card with these parameters."""
        return self.model_copy(update={"config": dict(config)})


class CheckpointCard(BaseModel):
    """What a method's card says where one of its checkpoints is chosen; see `MethodCard`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str
    hidden_bits: int = 0
    weights: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    white_box_judges: tuple[str, ...] = ()


class MethodCard(Card):
    """Card of an anonymization method.

    Attributes:
        family: Name shared by the variants of one method (`pixelate-light` is a `pixelate`).
        paper: Where the method was published.
        year: Year of publication.
        template: Alignment that the method works on, a name of `anonbench.data.align`.
        reversible: Whether the method has `recover`.
        key: What the per-sample key means: nothing, a seed of public randomness, or a secret.
        hidden_bits: Number of bits hidden in an image, 0 for none.
        hidden_format: What they stand for: nothing in particular, or float32 numbers of 32 bits
            each, sign first (`anonbench.nets.float_bits`).
        needs_latent: Whether recovery needs more than the published image and the key.
        weights: Names of catalogue artefacts.
        files: Weights that come with the method, as `PACKAGE/FILE`.
        file_config: Parameters that name a file of the user's, empty for none, and which of the
            weights and files above such a file takes the place of.
        white_box_judges: Judges that the method's training or inference used.
        checkpoints: What is said otherwise where the parameter `checkpoint` has this value.
        claims: What the authors claim, in their words or numbers.
    """

    family: str
    paper: str
    year: int | None = None
    template: str = "ffhq-256"
    reversible: bool = False
    key: Literal["none", "seed", "password"] = "none"
    hidden_bits: int = 0
    hidden_format: Literal["bits", "float32"] = "bits"
    needs_latent: bool = False
    weights: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    file_config: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    white_box_judges: tuple[str, ...] = ()
    checkpoints: dict[str, CheckpointCard] = Field(default_factory=dict)
    claims: tuple[str, ...] = ()

    def configured(self, config: Mapping[str, ConfigValue]) -> Self:
        """This card with these parameters, and what the chosen checkpoint says.

        Raises:
            BadConfig: The method has no such checkpoint.
        """
        card = super().configured(config)
        if self.checkpoints:
            card = card.model_copy(update=dict(self._checkpoint(config.get("checkpoint"))))
        replaced = {n for key, names in self.file_config.items() if config[key] for n in names}
        kept = {
            field: tuple(name for name in getattr(card, field) if name not in replaced)
            for field in ("weights", "files")
        }
        return card.model_copy(update=kept)

    def _checkpoint(self, name: ConfigValue | None) -> CheckpointCard:
        if name not in self.checkpoints:
            known = list(self.checkpoints)
            raise BadConfig(
                f"{self.name} has no checkpoint '{name}'.",
                why=f"Its checkpoints are: {', '.join(known)}.",
                mend=f"Write {self.name}:checkpoint={known[0]}",
            )
        return self.checkpoints[str(name)]


class JudgeCard(Card):
    """Card of a judge, a pretrained model that measures.

    Attributes:
        kind: What it measures.
        template: Alignment of its input; empty for a detector, which sees the whole image, and
            for a perceptual judge, which sees crops as the method has them.
        dim: Length of its output vector, 0 where that makes no sense.
        training_data: What it was trained on.
        weights: Names of catalogue artefacts.
        packages: Python packages that carry weights of it; their versions stand in for a hash.
            `A|B` means whichever is installed.
        white_box_for: Method families that were trained or optimised against this judge.
    """

    kind: JudgeKind
    template: str = ""
    dim: int = 0
    training_data: str
    weights: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    white_box_for: tuple[str, ...] = ()


class DatasetCard(Card):
    """Card of a dataset.

    Attributes:
        artefact: Catalogue artefact that `anonbench fetch` brings, empty where a user must
            bring the data.
        layout: Where the files stand below `--data-root`, in words.
        fallback_box: Face box used for an original in which no face is found, as fractions
            `(left, top, right, bottom)` of width and height.
        upsample: How often the image is doubled before HOG detection.
    """

    extras: tuple[str, ...] = ()
    artefact: str = ""
    layout: str
    fallback_box: tuple[float, float, float, float] = (0.2, 0.2, 0.8, 0.8)
    upsample: int = 1


class MetricSpec(BaseModel):
    """What a metric is, whatever its value: name, unit, and which way is better.

    Attributes:
        name: Its name in results.
        title: Its name in tables.
        unit: Unit, empty for a plain number.
        direction: Which way is better.
        judged: Whether a judge measures it; False for one that needs none.
        headline: Whether a table shows it unasked, where there is a value of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    unit: str = ""
    direction: Literal["lower", "higher", "none"]
    judged: bool = True
    headline: bool = False


class SuiteCard(BaseModel):
    """The dataset and the judges with which a suite runs a protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    judges: tuple[str, ...]


class ProtocolCard(Card):
    """Card of a protocol: what is measured, on which data, how.

    Attributes:
        requires: What a method must offer: `reversible`, `hidden_bits`.
        judge_kind: The kind of judge that it takes; empty where it takes none.
        suites: Dataset and judges per suite (`demo`, `paper`).
        metrics: What it reports.
        published: Table ids in results/published that this protocol reproduces.
    """

    requires: tuple[Literal["reversible", "hidden_bits"], ...] = ()
    judge_kind: JudgeKind | Literal[""] = "recognition"
    suites: dict[str, SuiteCard]
    metrics: tuple[MetricSpec, ...]
    published: tuple[str, ...] = ()


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
    """

    box: NDArray[np.float64]
    score: float
    points5: NDArray[np.float64]
    points68: NDArray[np.float64] | None = None
    dlib5: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Needs:
    """What a protocol wants computed.

    Attributes:
        original: Ids to judge as they are.
        published: Ids to judge published.
        recovered: Ids to judge recovered; nothing comes of it for a method that cannot.
        bits: Ids whose hidden bits are read; likewise.
    """

    original: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    bits: tuple[str, ...] = ()


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

    def lacks(self, source: Source) -> str:
        """Why a source does not exist for this method (`not reversible`), or nothing."""
        ...

    def embeddings(self, source: Source, judge: str) -> Embeddings:
        """Embeddings of one recogniser on one source of images."""
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
