"""Faces as rows of the store, and images as the stages read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import DatasetCard
from anonbench.engine import latents as kept
from anonbench.engine import models
from anonbench.engine.channel import Channel, to_uint8
from anonbench.engine.store import Artefact, Row, Value
from anonbench.errors import BadImage
from anonbench.values import Face

Presentation = Literal["crop", "paste"]


@dataclass(frozen=True)
class Item:
    """The input of a stage for one sample, small enough to be sent to a worker process.

    Attributes:
        id: The sample.
        data: The encoded image where the store has it.
        face: Its face where an earlier stage located it.
        found: Whether a detector found that face, rather than it being a fallback.
        error: Why there is no input.
        latent: What the method kept of anonymizing it, where a recipient needs that.
    """

    id: str
    data: bytes = b""
    face: Face | None = None
    found: bool = False
    error: str = ""
    latent: NDArray[np.float32] | None = None


class Images(Protocol):
    """Where a stage's images come from."""

    def load(self, item: Item) -> NDArray[np.uint8]:
        """The image of an item, RGB `[H, W, 3]`; raises BadImage."""
        ...


@dataclass(frozen=True)
class Originals:
    """The images of a dataset, as they stand on disk."""

    card: DatasetCard
    root: str

    def load(self, item: Item) -> NDArray[np.uint8]:
        """Read and decode the file."""
        return models.dataset(self.card, self.root).read(item.id)


@dataclass(frozen=True)
class Published:
    """Images that came through a channel, published or recovered."""

    channel: str

    def load(self, item: Item) -> NDArray[np.uint8]:
        """Decode what was stored; a float image is seen by judges at 8 bits."""
        return to_uint8(self.pixels(item))

    def pixels(self, item: Item) -> NDArray[np.float32]:
        """The image in `[0, 1]`, without rounding it to 8 bits if it is not."""
        return Channel.parse(self.channel).decode(item.data)


def crop_of(image: NDArray[np.uint8], item: Item, template_name: str) -> NDArray[np.uint8]:
    """The crop of an item's face; raises BadImage where no face is known."""
    from anonbench.data.align import template

    if item.face is None:
        raise BadImage(f"No face is known in {item.id}.")
    return template(template_name).crop(image, item.face)


def to_float(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """8-bit pixels in `[0, 1]`."""
    return image.astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class Frame:
    """The frame of a method's crops, fixed by the faces of the originals.

    Attributes:
        template: The method's template.
        presentation: Whether published and recovered images are crops in this frame already, or
            whole pictures in the frame of the original.
        originals: Where originals come from.
    """

    template: str
    presentation: Presentation
    originals: Originals

    def original(self, item: Item) -> NDArray[np.float32]:
        """The original's crop `[S, S, 3]` in `[0, 1]`."""
        return to_float(crop_of(self.originals.load(item), item, self.template))

    def crop(self, item: Item, images: Originals | Published) -> NDArray[np.float32]:
        """The crop of an item, whichever images it comes from."""
        if isinstance(images, Originals):
            return self.original(item)
        return self.other(item, images)

    def other(self, item: Item, images: Published) -> NDArray[np.float32]:
        """The same of a published or recovered image."""
        if self.presentation == "crop":
            return images.pixels(item)
        return to_float(crop_of(images.load(item), item, self.template))


def pack_face(face: Face, found: bool) -> dict[str, Value]:
    """A face as columns; landmarks that a detector does not give are NaN."""
    columns: dict[str, Value] = {} if face.whole is None else {"whole": face.whole}
    return columns | {
        "box": face.box,
        "score": np.array(face.score),
        "points5": face.points5,
        "points68": np.full((68, 2), np.nan) if face.points68 is None else face.points68,
        "dlib5": np.full((5, 2), np.nan) if face.dlib5 is None else face.dlib5,
        "found": np.array(found),
    }


def unpack_face(row: Row) -> Face:
    """The inverse of `pack_face`."""

    def points(name: str) -> NDArray[np.float64] | None:
        array: Any = row[name]
        return None if np.isnan(array).any() else array

    columns: dict[str, Any] = row
    return Face(
        box=columns["box"],
        score=float(columns["score"]),
        points5=columns["points5"],
        points68=points("points68"),
        dlib5=points("dlib5"),
        whole=columns.get("whole"),
    )


def join_items(
    ids: Sequence[str],
    images: Artefact | None,
    faces: Artefact | None,
    latents: Artefact | None = None,
) -> Iterator[Item]:
    """Items for ids, in their order, from stored images, faces and latents as far as given.

    A sample that failed carries its reason.
    """
    sources = [artefact for artefact in (images, faces, latents) if artefact is not None]
    reasons = {i: e for artefact in sources for i, e in artefact.failed(ids).items()}
    good = [i for i in ids if i not in reasons]
    image_rows = images.read(good, only="image") if images is not None else None
    face_rows = faces.read(good) if faces is not None else None
    latent_rows = latents.read(good, only=kept.COLUMN) if latents is not None else None
    for sample_id in ids:
        if sample_id in reasons:
            yield Item(sample_id, error=reasons[sample_id])
            continue
        image: Any = next(image_rows)["image"] if image_rows is not None else b""
        row = next(face_rows) if face_rows is not None else None
        face = unpack_face(row) if row is not None else None
        found = row is not None and bool(row["found"])
        latent: Any = next(latent_rows)[kept.COLUMN] if latent_rows is not None else None
        yield Item(sample_id, image, face, found, latent=latent)
