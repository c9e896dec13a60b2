"""The stages that prepare and publish images: find faces, crop, anonymize.

What a recipient does with published images is in `anonbench.engine.recipient`, what judges do in
`anonbench.engine.judging`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import DatasetCard, JudgeCard, MethodCard
from anonbench.engine import hidden, latents, models, remarks
from anonbench.engine.channel import Channel, to_uint8
from anonbench.engine.faces import (
    Item,
    Originals,
    Presentation,
    crop_of,
    pack_face,
    to_float,
)
from anonbench.engine.steps import Prepared, Stage, column, to_tensor
from anonbench.engine.store import Row
from anonbench.errors import UserError
from anonbench.values import Face, sample_key

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class FindFaces(Stage):
    """Detect the most central face of each image and fit its landmarks.

    Where no face is found, `found` is False and the face is the fallback: for an original, the
    landmarks fitted into the dataset's fallback box; for a published or recovered image, the face
    of the original, carried into that image's frame.
    """

    name = "faces"
    networks = False
    detector: JudgeCard = field(kw_only=True)
    upsample: int = field(kw_only=True)
    carry_to: str = field(default="", kw_only=True)

    def prepare(self, item: Item) -> Prepared:
        """The columns of `pack_face`."""
        from anonbench.data.align import most_central

        image = self.images.load(item)
        height, width = image.shape[:2]
        detector = models.detector(self.detector)
        started = time.perf_counter()
        found = most_central(detector.detect(image, self.upsample), width, height)
        face = found or self._fallback(item, image)
        seconds = time.perf_counter() - started
        if isinstance(self.images, Originals) and self.images.card.aligned:
            face = replace(face, whole=np.array([width, height], np.float64))
        return Prepared(item.id, pack_face(face, found=found is not None), seconds=seconds)

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
    networks = False
    template: str = field(kw_only=True)

    def prepare(self, item: Item) -> Prepared:
        """The crop as `image`, an 8-bit PNG."""
        from anonbench.data.images import encode_png

        crop = crop_of(self.images.load(item), item, self.template)
        return Prepared(item.id, {"image": encode_png(crop)})


@dataclass(frozen=True)
class Publish(Stage):
    """Align, anonymize, and send through the publication channel."""

    name = "published"
    encodes = True
    method: MethodCard = field(kw_only=True)
    seed: int = field(kw_only=True)
    channel: str = field(kw_only=True)
    presentation: Presentation = field(kw_only=True)
    device: str = field(kw_only=True)

    @property
    def batch(self) -> int | None:
        """As the method's card says."""
        return self.method.batch

    def prepare(self, item: Item) -> Prepared:
        """The crop, and for pasting it back the picture and the face."""
        image = self.images.load(item)
        values = {"crop": crop_of(image, item, self.method.template)}
        if self.presentation == "crop":
            return Prepared(item.id, values)
        return Prepared(item.id, {**values, "picture": image}, item.face)

    def infer(self, batch: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """The anonymized crops as `crop`, and what the method says, keeps or hides of each."""
        import torch

        faces = to_tensor(column(batch, "crop"), models.resolve_device(self.device))
        keys = [sample_key(self.seed, one.id) for one in batch]
        with torch.no_grad():  # not inference_mode: some methods optimise
            output, beside = self._anonymize(faces, keys)
            if self.method.hidden_bits:
                beside |= hidden.embedded(self.method, self.device, faces)
        return {"crop": checked_crops(self.method, output, faces), **beside}

    def _anonymize(
        self, faces: "torch.Tensor", keys: Sequence[bytes]
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Anonymized crops, and for each a row of remarks, a latent, or nothing."""
        card, device = self.method, self.device
        if card.remarks:
            output, said = models.remarking(card, device).anonymize_with_remarks(faces, keys)
            return output, {remarks.COLUMN: remarks.checked_remarks(card, said, len(keys))}
        if card.needs_latent:
            output, kept = models.keeping(card, device).anonymize_with_latent(faces, keys)
            return output, {latents.COLUMN: latents.checked_latents(card, kept, len(keys))}
        return models.method(card, device).anonymize(faces, keys), {}

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """The published bytes as `image`, and the rest as it is."""
        image = encoded(self.method, prepared, told["crop"], self.channel)
        return Row(prepared.id, {"image": image, **self._beside(told)})

    def _beside(self, told: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Columns besides the image, all checked."""
        card, columns = self.method, dict[str, NDArray[Any]]()
        if remarks.COLUMN in told:
            columns[remarks.COLUMN] = remarks.finite_remarks(card, told[remarks.COLUMN])
        if latents.COLUMN in told:
            columns[latents.COLUMN] = latents.finite_latent(card, told[latents.COLUMN])
        if hidden.COLUMN in told:
            columns |= hidden.finite_numbers(card, hidden.packed(card, told))
        return columns


def usual_face(dataset: DatasetCard, detector: JudgeCard, image: NDArray[np.uint8]) -> Face:
    """Landmarks fitted into the box in which a dataset's faces usually are."""
    height, width = image.shape[:2]
    box = np.array(dataset.fallback_box) * (width, height, width, height)
    return models.detector(detector).landmarks(image, box)


def encoded(
    method: MethodCard, prepared: Prepared, crop: NDArray[np.float32], channel: str
) -> bytes:
    """A method's crop through a channel, pasted back where it was cut out of a picture."""
    from anonbench.data.align import paste_back, template

    image = finite(method, crop)
    if prepared.face is not None:
        picture: Any = prepared.values["picture"]
        matrix = template(method.template).matrix(prepared.face)
        image = to_float(paste_back(picture, to_uint8(image), matrix))
    return Channel.parse(channel).encode(image)


def checked_crops(
    method: MethodCard, output: "torch.Tensor", faces: "torch.Tensor"
) -> "torch.Tensor":
    """A method's output `[B, 3, S, S]` as images `[B, S, S, 3]`.

    Raises:
        UserError: It has not the shape of its input.
    """
    if output.shape != faces.shape:
        raise _misbehaved(method, f"{tuple(output.shape)} for crops {tuple(faces.shape)}")
    return output.permute(0, 2, 3, 1).float()


def finite(method: MethodCard, crop: NDArray[np.float32]) -> NDArray[np.float32]:
    """A crop of a method as it is; UserError where a number in it is not finite."""
    if not np.isfinite(crop).all():
        raise _misbehaved(method, "numbers that are not finite")
    return crop


def _misbehaved(method: MethodCard, returned: str) -> UserError:
    return models.misbehaving(method, f"The method '{method.name}' returned {returned}.")
