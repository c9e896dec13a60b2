"""The stages that start from published images: recover them, read the bits hidden in them.

They have what a recipient has. Under the presentation `crop` the published image is the method's
crop and goes to it as it is. Under `paste` it is a picture: its crop is aligned anew, by the face
found in the picture itself or, where none was, by landmarks fitted into the box in which the
dataset's faces usually are, as for an original without a face. Of the original nothing is used,
not even where its face was; but for the latent, where a method needs one to recover.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import DatasetCard, JudgeCard, MethodCard
from anonbench.engine import models
from anonbench.engine.channel import Channel, local, to_uint8
from anonbench.engine.faces import (
    Item,
    Originals,
    Presentation,
    Published,
    crop_of,
    in_batch,
    join_items,
    to_float,
)
from anonbench.engine.stages import Stage, checked_crops, stack, to_tensor, usual_face
from anonbench.engine.store import Row, Value
from anonbench.engine.wrong_keys import recipient_key, wrong_counts, wrong_places
from anonbench.errors import BadImage, UserError
from anonbench.metrics.image_quality import mean_absolute_error
from anonbench.values import Face

if TYPE_CHECKING:
    import torch


Columns = dict[str, NDArray[Any]]
"""Arrays by name, with one row for each of some images."""


@dataclass(frozen=True)
class _Received:
    """The crop `[S, S, 3]` in `[0, 1]` that a recipient has, and the face by which it was cut."""

    item: Item
    crop: NDArray[np.float32]
    face: Face | None = None


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

    def receive(self, item: Item, images: Published) -> _Received:
        """The crop of a published image; raises BadImage."""
        if item.error:
            raise BadImage(item.error)
        if self.presentation == "crop":
            return _Received(item, images.pixels(item))
        picture = images.load(item)
        face = item.face if item.found else usual_face(self.dataset, self.detector, picture)
        seen = replace(item, face=face)
        return _Received(seen, to_float(crop_of(picture, seen, self.method.template)), face)

    def batch(self, received: Sequence[_Received]) -> "torch.Tensor":
        """Crops `[B, 3, S, S]` on the device."""
        return stack([one.crop for one in received]).to(models.resolve_device(self.device))

    def given(self, received: Sequence[_Received]) -> "torch.Tensor":
        """What the method recovers from: crops, or the latents that were kept of them."""
        import torch

        if not self.method.needs_latent:
            return self.batch(received)
        latents: list[Any] = [one.item.latent for one in received]
        return torch.from_numpy(np.stack(latents)).to(models.resolve_device(self.device))

    def recover(
        self, received: Sequence[_Received], keys: Sequence[bytes]
    ) -> Iterator[NDArray[np.float32]]:
        """What the method recovers, image by image."""
        import torch

        given = self.given(received)
        with torch.no_grad():  # not inference_mode: some methods optimise
            if self.method.needs_latent:
                output = models.keeping(self.method, self.device).recover_from_latent(given, keys)
            else:
                output = models.reversible(self.method, self.device).recover(given, keys)
        return checked_crops(self.method, output, self.batch(received))

    def recover_with_wrong_bits(
        self, received: Sequence[_Received], keys: Sequence[bytes], count: int
    ) -> Iterator[NDArray[np.float32]]:
        """What it recovers where `count` bits of each password are wrong."""
        import torch

        given, bits = self.given(received), self.method.password_bits
        places = np.stack([wrong_places(key, bits, count) for key in keys])
        wrong = torch.from_numpy(places).to(given.device)
        method = models.taking_wrong_bits(self.method, self.device)
        with torch.no_grad():
            output = method.recover_with_wrong_bits(given, keys, wrong)
        return checked_crops(self.method, output, self.batch(received))

    def read_bits(self, crops: "torch.Tensor") -> Columns:
        """The bits that the method reads, and what they stand for by a code of its own."""
        import torch

        with torch.inference_mode():
            logits = models.hiding(self.method, self.device).extract_bits(crops)
            bits = checked_bits(self.method, logits, len(crops)) > 0
            columns: Columns = {"bits": pack(bits)}
            if self.method.hidden_format == "learned":
                decoded = models.decoding(self.method, self.device).decode_bits(bits)
                columns |= checked_numbers(self.method, len(crops), {"decoded": decoded})
        return columns


@dataclass(frozen=True)
class FromPublished(Stage):
    """A stage that gives a method published crops, the latents it needs, and nothing else."""

    images: Published
    recipient: Recipient = field(kw_only=True)

    def items(self, ids: Sequence[str]) -> Iterator[Item]:
        """The published images, and the latents that were kept of them."""
        latents = self.stored_images if self.recipient.method.needs_latent else None
        return join_items(ids, self.stored_images, self.stored_faces, latents)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """One row per item; an image that cannot be read or aligned is an error of its own."""
        received, rows = [], []
        for item in items:
            try:
                received.append(self.recipient.receive(item, self.images))
            except BadImage as error:
                rows.append(Row(item.id, error=str(error)))
        return rows + self._answer(received) if received else rows

    @abstractmethod
    def _answer(self, received: Sequence[_Received]) -> list[Row]:
        """What the method makes of at least one received crop."""


@dataclass(frozen=True)
class Recover(FromPublished):
    """Recover images from published ones and the keys, right or wrong; keep them without loss.

    Under `paste` the recovered crop is pasted back into the published picture: what its owner
    looks at. A method that needs a latent recovers from that, whatever became of the image.
    """

    name = "recovered"
    seed: int = field(kw_only=True)
    wrong_key: int = field(default=0, kw_only=True)

    def _answer(self, received: Sequence[_Received]) -> list[Row]:
        """Rows with the recovered image as `image`, 8-bit PNG or, for floats, as it is."""
        keys = [recipient_key(self.seed, one.item.id, self.wrong_key) for one in received]
        results = self.recipient.recover(received, keys)
        return [
            Row(one.item.id, {"image": self._encode(one, result)})
            for one, result in zip(received, results, strict=True)
        ]

    def _encode(self, one: _Received, result: NDArray[np.float32]) -> bytes:
        from anonbench.data.align import paste_back, template

        channel = Channel.parse(local(self.images.channel))
        if one.face is None:
            return channel.encode(result)
        matrix = template(self.recipient.method.template).matrix(one.face)
        pasted = paste_back(self.images.load(one.item), to_uint8(result), matrix)
        return channel.encode(to_float(pasted))


@dataclass(frozen=True)
class RecoverWithWrongBits(FromPublished):
    """Recover images with some bits of the password wrong, and see how far that leads astray."""

    name = "wrong-bits"
    seed: int = field(kw_only=True)

    def _answer(self, received: Sequence[_Received]) -> list[Row]:
        """Rows with `differences` to the right recovery for each of `wrong_counts`.

        Means over the crop's 8-bit pixels, in `[0, 1]`.
        """
        keys = [recipient_key(self.seed, one.item.id) for one in received]
        right = [_at_8_bits(crop) for crop in self.recipient.recover(received, keys)]
        columns = []
        for count in wrong_counts(self.recipient.method.password_bits):
            wrong = map(_at_8_bits, self.recipient.recover_with_wrong_bits(received, keys, count))
            columns.append(list(map(mean_absolute_error, right, wrong)))
        return _rows([one.item.id for one in received], {"differences": np.array(columns).T})


@dataclass(frozen=True)
class ReadPassword(FromPublished):
    """Read the hidden bits of published images."""

    name = "bits-read"

    def _answer(self, received: Sequence[_Received]) -> list[Row]:
        """Rows with the bits as `bits`, packed eight to a byte.

        Where they stand for numbers by a code of the method's, also `decoded`, those numbers.
        """
        columns = self.recipient.read_bits(self.recipient.batch(received))
        return _rows([one.item.id for one in received], columns)


@dataclass(frozen=True)
class HidePassword(Stage):
    """Ask a method which bits it hides in the anonymized images of originals.

    Where they stand for numbers by a code of the method's, also which numbers it makes the bits
    of, and what the code makes of the bits again.
    """

    name = "bits-embedded"
    images: Originals
    method: MethodCard = field(kw_only=True)
    device: str = field(kw_only=True)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """Rows with the bits as `bits`, packed eight to a byte, and `numbers` and `decoded`."""
        return in_batch(items, self._crop, self._hide)

    def _hide(self, good: Sequence[Row]) -> list[Row]:
        import torch

        faces = to_tensor([row["crop"] for row in good]).to(models.resolve_device(self.device))
        with torch.inference_mode():
            hidden = models.hiding(self.method, self.device).hidden_bits(faces)
            bits = checked_bits(self.method, hidden, len(good)).bool()
            columns: Columns = {"bits": pack(bits)}
            if self.method.hidden_format == "learned":
                columns |= self._numbers(faces, bits)
        return _rows([row.id for row in good], columns)

    def _numbers(self, faces: "torch.Tensor", bits: "torch.Tensor") -> Columns:
        method = models.decoding(self.method, self.device)
        numbers = {"numbers": method.hidden_numbers(faces), "decoded": method.decode_bits(bits)}
        columns = checked_numbers(self.method, len(faces), numbers)
        if not all(np.isfinite(column).all() for column in columns.values()):
            raise UserError(
                f"The method '{self.method.name}' hides numbers that are not finite, or decodes "
                "its own bits to such.",
                mend=f"Mend the method; see: anonbench test-method {self.method.name}",
            )
        return columns

    def _crop(self, item: Item) -> dict[str, Value]:
        return {"crop": crop_of(self.images.load(item), item, self.method.template)}


def _at_8_bits(crop: NDArray[np.float32]) -> NDArray[np.float32]:
    return to_float(to_uint8(crop))


def checked_bits(method: MethodCard, bits: "torch.Tensor", number: int) -> "torch.Tensor":
    """A method's bits or logits; UserError where they are not as many as its card says."""
    if bits.shape != (number, method.hidden_bits) or not bool(bits.isfinite().all()):
        raise UserError(
            f"The method '{method.name}' returned {tuple(bits.shape)} instead of "
            f"{(number, method.hidden_bits)} bits or logits, or some that are not finite.",
            mend=f"Mend the method; see: anonbench test-method {method.name}",
        )
    return bits


def checked_numbers(
    method: MethodCard, number: int, numbers: "Mapping[str, torch.Tensor]"
) -> Columns:
    """Numbers of a method as float32; UserError where they are not `[number, n]`, the same n."""
    shapes = {name: tuple(values.shape) for name, values in numbers.items()}
    one = next(iter(shapes.values()))
    if len(one) != 2 or one[0] != number or set(shapes.values()) != {one}:
        raise UserError(
            f"The method '{method.name}' returned {shapes} for {number} images: hidden_numbers "
            f"and decode_bits must both return ({number}, n).",
            mend=f"Mend the method; see: anonbench test-method {method.name}",
        )
    return {name: values.float().cpu().numpy() for name, values in numbers.items()}


def _rows(ids: Sequence[str], columns: Columns) -> list[Row]:
    """One row per sample, of what columns hold about it."""
    return [
        Row(sample_id, {name: column[place] for name, column in columns.items()})
        for place, sample_id in enumerate(ids)
    ]


def pack(bits: "torch.Tensor") -> NDArray[np.uint8]:
    """Bits `[B, n]` as `[B, ceil(n / 8)]` bytes, the first bit of each byte highest."""
    return np.packbits(bits.cpu().numpy(), axis=1)
