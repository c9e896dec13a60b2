"""What the parts of the suite hand to each other: samples, faces, needs, and what judges say.

Coordinates are pixels `(x, y)` with the centre of the top left pixel at `(0, 0)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

Source = Literal[
    "original", "reference", "published", "recovered", "misrecovered", "misrecovered-again"
]
"""Where images come from; the last two were recovered with wrong keys, each with another."""

HiddenFormat = Literal["bits", "float32", "learned"]
"""What hidden bits stand for: nothing in particular, float32 numbers of 32 bits each, sign first
(`anonbench.nets.float_bits`), or numbers by a code of the method's (`DecodesPassword`)."""


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
        misrecovered: Ids to judge recovered with wrong keys, and, where the method says which bits
            a password of its has, to recover with some of them wrong; likewise.
        bits: Ids whose hidden bits are read; likewise.
        seeds: With how many consecutive seeds, from the run's own, images are published and
            recovered. For a method that draws nothing, one is enough and there is only one.
    """

    original: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    misrecovered: tuple[str, ...] = ()
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
class Numbers:
    """The numbers that hidden bits stand for by a method's own code, each `[N, n]` float32.

    Attributes:
        hidden: Those of which the code made the bits.
        embedded: What the code makes of the embedded bits: no bit is wrong, so all that differs
            is the code's own error.
        read: What it makes of the bits that were read, which need not be finite.
    """

    hidden: NDArray[np.float32]
    embedded: NDArray[np.float32]
    read: NDArray[np.float32]


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
        numbers: The numbers that they stand for, of the format `learned`.
    """

    ids: tuple[str, ...]
    embedded: NDArray[np.uint8]
    read: NDArray[np.uint8]
    count: int
    format: HiddenFormat
    failed: Mapping[str, str]
    numbers: Numbers | None = None


@dataclass(frozen=True)
class WrongBits:
    """How far recovery goes astray with some bits of the password wrong.

    Attributes:
        ids: N sample ids; an image that failed is not among them.
        counts: `[C]` numbers of wrong bits, rising to all of them.
        differences: `[N, C]` mean absolute difference to the right recovery, in `[0, 1]`, of the
            method's crops at 8 bits.
        failed: Reason per sample id that has none.
    """

    ids: tuple[str, ...]
    counts: NDArray[np.int64]
    differences: NDArray[np.float64]
    failed: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """One network of a method, with any weights.

    Attributes:
        name: What results call it.
        module: The network.
        inputs: What its `forward` takes for one image: tensors, sequences of them, or None.
        core: Whether it belongs to what papers count, the generator; not what stands beside it.
        passes: How often it is run for one image. What is run again and again may be a module of
            its own, of one step: with its gradients, and with networks that other parts list.
    """

    name: str
    module: nn.Module
    inputs: tuple[Tensor | Sequence[Tensor] | None, ...]
    core: bool = False
    passes: int = 1


Scores = dict[str, "NDArray[np.generic]"]


def sample_key(seed: int, sample_id: str) -> bytes:
    """The 32-byte key of a sample: SHA-256 over the run's seed and the sample's id.

    All randomness of a sample derives from it, so results depend neither on the batch nor on
    the order nor on the number of workers.
    """
    return hashlib.sha256(f"{seed}\n{sample_id}".encode()).digest()
