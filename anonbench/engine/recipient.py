"""The stages that start from published images: recover them, read the bits hidden in them.

They have what a recipient has. Under the presentation `crop` the published image is the method's
crop and goes to it as it is. Under `paste` it is a picture: its crop is aligned anew, by the face
found in the picture itself or, where none was, by landmarks fitted into the box in which the
dataset's faces usually are, as for an original without a face. Of the original nothing is used,
not even where its face was; but for the latent, where a method needs one to recover.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import DatasetCard, JudgeCard, MethodCard
from anonbench.engine import hidden, latents, models
from anonbench.engine.channel import local, to_uint8
from anonbench.engine.faces import (
    Item,
    Presentation,
    Published,
    crop_of,
    join_items,
    to_float,
)
from anonbench.engine.stages import checked_crops, encoded, finite, usual_face
from anonbench.engine.steps import Prepared, Stage, column, on_device, to_batch
from anonbench.engine.store import Row, Value
from anonbench.engine.wrong_keys import recipient_key, wrong_counts, wrong_places
from anonbench.metrics.image_quality import mean_absolute_error

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Recipient:
    """Who has published images and the method, and how they find the face in a picture.

    Attributes:
        method: The method.
        presentation: What a published image shows.
        dataset: Says where faces usually are.
        detector: Fits landmarks there.
        device: Where the method runs.
    """

    method: MethodCard
    presentation: Presentation
    dataset: DatasetCard
    detector: JudgeCard
    device: str

    def receive(self, item: Item, images: Published) -> Prepared:
        """The crop of a published image in `[0, 1]`, and the face by which it was cut, if it was.

        Raises:
            BadImage: It cannot be read.
        """
        beside: dict[str, Value] = {} if item.latent is None else {latents.COLUMN: item.latent}
        if self.presentation == "crop":
            return Prepared(item.id, {"crop": images.pixels(item), **beside})
        picture = images.load(item)
        face = item.face if item.found else usual_face(self.dataset, self.detector, picture)
        crop = to_float(crop_of(picture, replace(item, face=face), self.method.template))
        return Prepared(item.id, {"crop": crop, "picture": picture, **beside}, face)

    def crops(self, batch: Sequence[Prepared]) -> "torch.Tensor":
        """Received crops `[B, 3, S, S]` on the device."""
        return to_batch(column(batch, "crop"), models.resolve_device(self.device))

    def given(self, batch: Sequence[Prepared]) -> "torch.Tensor":
        """What the method recovers from: crops, or the latents that were kept of them."""
        if not self.method.needs_latent:
            return self.crops(batch)
        return on_device(column(batch, latents.COLUMN), models.resolve_device(self.device))

    def recover(self, batch: Sequence[Prepared], keys: Sequence[bytes]) -> "torch.Tensor":
        """What the method recovers, as images `[B, S, S, 3]`."""
        import torch

        given = self.given(batch)
        with torch.no_grad():  # not inference_mode: some methods optimise
            if self.method.needs_latent:
                output = models.keeping(self.method, self.device).recover_from_latent(given, keys)
            else:
                output = models.reversible(self.method, self.device).recover(given, keys)
        return checked_crops(self.method, output, self.crops(batch))

    def recover_with_wrong_bits(
        self, batch: Sequence[Prepared], keys: Sequence[bytes], count: int
    ) -> "torch.Tensor":
        """What it recovers where `count` bits of each password are wrong."""
        import torch

        bits = self.method.password_bits
        places = [wrong_places(key, bits, count) for key in keys]
        wrong = on_device(places, models.resolve_device(self.device))
        method = models.taking_wrong_bits(self.method, self.device)
        with torch.no_grad():
            output = method.recover_with_wrong_bits(self.given(batch), keys, wrong)
        return checked_crops(self.method, output, self.crops(batch))


@dataclass(frozen=True)
class FromPublished(Stage):
    """A stage that gives a method published crops, the latents it needs, and nothing else."""

    images: Published
    recipient: Recipient = field(kw_only=True)

    def items(self, ids: Sequence[str]) -> Iterator[Item]:
        """The published images, and the latents that were kept of them."""
        latents = self.stored_images if self.recipient.method.needs_latent else None
        return join_items(ids, self.stored_images, self.stored_faces, latents)

    @property
    def batch(self) -> int | None:
        """As the method's card says."""
        return self.recipient.method.batch

    def prepare(self, item: Item) -> Prepared:
        """What a recipient has."""
        return self.recipient.receive(item, self.images)


@dataclass(frozen=True)
class Recover(FromPublished):
    """Recover images from published ones and the keys, right or wrong; keep them without loss.

    Under `paste` the recovered crop is pasted back into the published picture: what its owner
    looks at. A method that needs a latent recovers from that, whatever became of the image.
    """

    name = "recovered"
    encodes = True
    seed: int = field(kw_only=True)
    wrong_key: int = field(default=0, kw_only=True)

    def infer(self, batch: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """The recovered crops as `crop`."""
        keys = [recipient_key(self.seed, one.id, self.wrong_key) for one in batch]
        return {"crop": self.recipient.recover(batch, keys)}

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """The recovered image as `image`, 8-bit PNG or, for floats, as it is."""
        channel = local(self.images.channel)
        image = encoded(self.recipient.method, prepared, told["crop"], channel)
        return Row(prepared.id, {"image": image})


@dataclass(frozen=True)
class RecoverWithWrongBits(FromPublished):
    """Recover images with some bits of the password wrong, and see how far that leads astray."""

    name = "wrong-bits"
    encodes = True
    seed: int = field(kw_only=True)

    def infer(self, batch: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """The right recovery as `0`, and those by the number of wrong bits."""
        keys = [recipient_key(self.seed, one.id) for one in batch]
        wrong = {
            str(count): self.recipient.recover_with_wrong_bits(batch, keys, count)
            for count in wrong_counts(self.recipient.method.password_bits)
        }
        return {"0": self.recipient.recover(batch, keys), **wrong}

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """The `differences` to the right recovery for each of `wrong_counts`.

        Means over the crop's 8-bit pixels, in `[0, 1]`.
        """
        method = self.recipient.method
        right, *wrong = (to_float(to_uint8(finite(method, crop))) for crop in told.values())
        differences = [mean_absolute_error(right, crop) for crop in wrong]
        return Row(prepared.id, {"differences": np.array(differences)})


@dataclass(frozen=True)
class ReadPassword(FromPublished):
    """Read the hidden bits of published images."""

    name = "bits-read"

    def infer(self, batch: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """What `hidden.read` returns."""
        import torch

        recipient = self.recipient
        with torch.inference_mode():
            return hidden.read(recipient.method, recipient.device, recipient.crops(batch))

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """The columns of `hidden.packed`."""
        return Row(prepared.id, hidden.packed(self.recipient.method, told))
