"""What the parts of the suite promise each other: a handful of small typing protocols.

A plug-in needs no base class from here. Its card is one of `anonbench.cards`; what it is given and
gives back is in `anonbench.values`.

Conventions inside the suite: images are float32 RGB tensors `[B, 3, H, W]` in `[0, 1]`, decoded
image files are uint8 RGB arrays `[H, W, 3]`. Devices are strings that torch understands: `cpu`,
`cuda:0`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from anonbench.cards import DatasetCard, JudgeCard, MethodCard, ProtocolCard
    from anonbench.data.manifest import Manifest
    from anonbench.results.record import Reduction
    from anonbench.values import (
        Bits,
        Crops,
        Distances,
        Embeddings,
        Face,
        Needs,
        Pair,
        Part,
        Sample,
        Scores,
        Source,
        Traits,
        WrongBits,
    )


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
class KeepsLatent(ReversibleMethod, Protocol):
    """A method whose card `needs_latent`: it recovers from what was kept of anonymizing.

    Its `recover` still tries with the published image alone.
    """

    def anonymize_with_latent(self, faces: Tensor, keys: Sequence[bytes]) -> tuple[Tensor, Tensor]:
        """What `anonymize` returns, and the latents `[B, ...]` float32 that are to be kept."""
        ...

    def recover_from_latent(self, latents: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Restore crops `[B, 3, H, W]` in `[0, 1]` from kept latents and the keys."""
        ...


@runtime_checkable
class TakesWrongBits(ReversibleMethod, Protocol):
    """A method that can recover with single bits of a password wrong (`card.password_bits`)."""

    def recover_with_wrong_bits(
        self, given: Tensor, keys: Sequence[bytes], wrong: Tensor
    ) -> Tensor:
        """What comes out where some bits of the right passwords are inverted.

        Args:
            given: Published crops `[B, 3, H, W]` in `[0, 1]`; the latents, where the card
                `needs_latent`.
            keys: The B keys of anonymizing.
            wrong: Which bits are inverted, `[B, card.password_bits]` bool, where `given` is.

        Returns:
            `[B, 3, H, W]` in `[0, 1]`.
        """
        ...


@runtime_checkable
class Remarking(Method, Protocol):
    """A method that has something to say about each image, as `MethodCard.remarks` lists it."""

    def anonymize_with_remarks(
        self, faces: Tensor, keys: Sequence[bytes]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What `anonymize` returns, and for each name in the card one finite number per image.

        Returns:
            `[B, 3, H, W]` float32 in `[0, 1]`, and per name a tensor `[B]` of any type.
        """
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
class DecodesPassword(HidesPassword, Protocol):
    """A method whose hidden bits stand for n numbers by a code of its own, a learned one."""

    def hidden_numbers(self, faces: Tensor) -> Tensor:
        """The `[B, n]` float32 numbers that the code makes bits of for these crops."""
        ...

    def decode_bits(self, bits: Tensor) -> Tensor:
        """The `[B, n]` float32 numbers that any bits `[B, hidden_bits]` bool stand for."""
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

    @property
    def latent_bytes(self) -> int:
        """Bytes that are kept of each image for its recovery, beside what is published."""
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

    def wrong_bits(self) -> WrongBits:
        """What wrong bits do, of a method that says which bits a password has."""
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
