"""The stages that prepare and publish images: find faces, crop, anonymize.

What a recipient does with published images is in `anonbench.engine.recipient`, what judges do in
`anonbench.engine.judging`.

A stage names the key material that decides its content, gathers small inputs from the store, and
computes rows from them. `compute` depends on nothing but its arguments, so it may run in another
process; plug-ins are built there on first use.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import DatasetCard, JudgeCard, MethodCard
from anonbench.engine import latents, models, remarks
from anonbench.engine.channel import Channel, to_uint8
from anonbench.engine.faces import (
    Images,
    Item,
    Originals,
    Presentation,
    crop_of,
    join_items,
    pack_face,
    rows_of,
    to_float,
)
from anonbench.engine.store import Artefact, Row, Value
from anonbench.errors import BadImage, UserError
from anonbench.values import Face, sample_key

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Stage(ABC):
    """One step from stored inputs to stored rows.

    Attributes:
        name: Its folder in the store.
        parallel: Whether `compute` gains from worker processes (one thread each).
        label: What it does, for the progress display and the report.
        key: Everything that decides the content of its rows.
        images: Where its images come from.
        stored_images: Artefact with the encoded images, for sources that are in the store.
        stored_faces: Artefact with the faces, for stages that need them.
    """

    name: ClassVar[str]
    parallel: ClassVar[bool] = False

    label: str
    key: dict[str, Any]
    images: Images
    stored_images: Artefact | None = field(default=None, repr=False)
    stored_faces: Artefact | None = field(default=None, repr=False)

    def items(self, ids: Sequence[str]) -> Iterator[Item]:
        """The inputs for some samples."""
        return join_items(ids, self.stored_images, self.stored_faces)

    @abstractmethod
    def compute(self, items: Sequence[Item]) -> list[Row]:
        """One row per item."""

    def __getstate__(self) -> dict[str, Any]:
        """Workers get inputs as items, never the store's indexes."""
        return {**self.__dict__, "stored_images": None, "stored_faces": None}


@dataclass(frozen=True)
class FindFaces(Stage):
    """Detect the most central face of each image and fit its landmarks.

    Where no face is found, `found` is False and the face is the fallback: for an original, the
    landmarks fitted into the dataset's fallback box; for a published or recovered image, the face
    of the original, carried into that image's frame.
    """

    name = "faces"
    parallel = True
    detector: JudgeCard = field(kw_only=True)
    upsample: int = field(kw_only=True)
    carry_to: str = field(default="", kw_only=True)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """Rows with the columns of `pack_face`."""
        return rows_of(items, self._one)

    def _one(self, item: Item) -> dict[str, Value]:
        from anonbench.data.align import most_central

        image = self.images.load(item)
        height, width = image.shape[:2]
        detected = models.detector(self.detector).detect(image, self.upsample)
        found = most_central(detected, width, height)
        face = found or self._fallback(item, image)
        if isinstance(self.images, Originals) and self.images.card.aligned:
            face = replace(face, whole=np.array([width, height], np.float64))
        return pack_face(face, found=found is not None)

    def _fallback(self, item: Item, image: NDArray[np.uint8]) -> Face:
        from anonbench.data.align import map_face, template

        if item.face is None:
            if not isinstance(self.images, Originals):
                raise UserError(
                    f"No face was found in {item.id} and none is known to fall back to."
                )
            return usual_face(self.images.card, self.detector, image)
        if not self.carry_to:
            return item.face
        return map_face(item.face, template(self.carry_to).matrix(item.face))


@dataclass(frozen=True)
class Crop(Stage):
    """Cut the originals' faces out as a method gets them, and keep them without loss."""

    name = "references"
    template: str = field(kw_only=True)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """Rows with the crop as `image`, an 8-bit PNG."""
        return rows_of(items, self._one)

    def _one(self, item: Item) -> dict[str, Value]:
        from anonbench.data.images import encode_png

        return {"image": encode_png(crop_of(self.images.load(item), item, self.template))}


@dataclass(frozen=True)
class Publish(Stage):
    """Align, anonymize, and send through the publication channel."""

    name = "published"
    method: MethodCard = field(kw_only=True)
    seed: int = field(kw_only=True)
    channel: str = field(kw_only=True)
    presentation: Presentation = field(kw_only=True)
    device: str = field(kw_only=True)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """Rows with the published bytes as `image`, and what the method says or keeps of each."""
        import torch

        crops, originals, good, rows = [], [], [], []
        for item in items:
            try:
                image, crop = self._crop(item)
            except BadImage as error:
                rows.append(Row(item.id, error=str(error)))
                continue
            good.append(item)
            crops.append(crop)
            originals.append(image)
        if not good:
            return rows
        faces = to_tensor(crops).to(models.resolve_device(self.device))
        keys = [sample_key(self.seed, item.id) for item in good]
        with torch.no_grad():  # not inference_mode: some methods optimise
            output, beside = self._anonymize(faces, keys)
        results = checked_crops(self.method, output, faces)
        for item, image, result, more in zip(good, originals, results, beside, strict=True):
            rows.append(Row(item.id, {"image": self._encode(item, image, result), **more}))
        return rows

    def _anonymize(
        self, faces: "torch.Tensor", keys: Sequence[bytes]
    ) -> "tuple[torch.Tensor, list[dict[str, NDArray[Any]]]]":
        """Anonymized crops, and for each a column of remarks, a latent, or nothing."""
        card, device = self.method, self.device
        if card.remarks:
            output, said = models.remarking(card, device).anonymize_with_remarks(faces, keys)
            told = remarks.checked_remarks(card, said, len(keys))
            return output, [{remarks.COLUMN: row} for row in told]
        if card.needs_latent:
            output, kept = models.keeping(card, device).anonymize_with_latent(faces, keys)
            stored = latents.checked_latents(card, kept, len(keys))
            return output, [{latents.COLUMN: row} for row in stored]
        return models.method(card, device).anonymize(faces, keys), [{} for _ in keys]

    def _crop(self, item: Item) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if item.error:
            raise BadImage(item.error)
        image = self.images.load(item)
        return image, crop_of(image, item, self.method.template)

    def _encode(self, item: Item, image: NDArray[np.uint8], result: NDArray[np.float32]) -> bytes:
        from anonbench.data.align import paste_back, template

        channel = Channel.parse(self.channel)
        if self.presentation == "crop" or item.face is None:
            return channel.encode(result)
        matrix = template(self.method.template).matrix(item.face)
        pasted = paste_back(image, to_uint8(result), matrix)
        return channel.encode(to_float(pasted))


def usual_face(dataset: DatasetCard, detector: JudgeCard, image: NDArray[np.uint8]) -> Face:
    """Landmarks fitted into the box in which a dataset's faces usually are."""
    height, width = image.shape[:2]
    box = np.array(dataset.fallback_box) * (width, height, width, height)
    return models.detector(detector).landmarks(image, box)


def to_tensor(crops: Sequence[Any]) -> "torch.Tensor":
    """Uint8 crops `[S, S, 3]` as one float32 tensor `[B, 3, S, S]` in `[0, 1]`."""
    return stack(crops).float().div_(255)


def stack(crops: Sequence[Any]) -> "torch.Tensor":
    """Crops `[S, S, 3]` as one tensor `[B, 3, S, S]`, with the numbers as they are."""
    import torch

    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def checked_crops(
    method: MethodCard, output: "torch.Tensor", faces: "torch.Tensor"
) -> Iterator[NDArray[np.float32]]:
    """A method's output `[B, 3, S, S]` as images; UserError where it has not its input's shape."""
    if output.shape != faces.shape or not bool(output.isfinite().all()):
        raise UserError(
            f"The method '{method.name}' returned {tuple(output.shape)} for crops "
            f"{tuple(faces.shape)}, or numbers that are not finite.",
            mend=f"Mend the method; see: anonbench test-method {method.name}",
        )
    return iter(output.permute(0, 2, 3, 1).float().cpu().numpy())
