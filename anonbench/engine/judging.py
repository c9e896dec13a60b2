"""The stages in which judges look at images: embed, describe, compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import JudgeCard
from anonbench.engine import models
from anonbench.engine.channel import to_uint8
from anonbench.engine.faces import Frame, Item, Originals, Published, crop_of, in_batch
from anonbench.engine.stages import Stage, stack, to_tensor
from anonbench.engine.store import Row, Value
from anonbench.errors import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Embed(Stage):
    """Align each image to a recogniser's template and embed it."""

    name = "embeddings"
    judge: JudgeCard = field(kw_only=True)
    device: str = field(kw_only=True)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """Rows with the embedding as `vector`."""
        return in_batch(items, self._crop, self._embed)

    def _embed(self, good: Sequence[Row]) -> list[Row]:
        import torch

        crops, rows = to_tensor([row["crop"] for row in good]), []
        with torch.inference_mode():
            network = models.recogniser(self.judge, self.device)
            vectors = network.embed(crops.to(models.resolve_device(self.device)))
        for row, vector in zip(good, vectors.float().cpu().numpy(), strict=True):
            finite = bool(np.isfinite(vector).all())
            error = "" if finite else f"{self.judge.name} gave numbers that are not finite."
            rows.append(Row(row.id, {"vector": vector} if finite else {}, error))
        return rows

    def _crop(self, item: Item) -> dict[str, Value]:
        return {"crop": crop_of(self.images.load(item), item, self.judge.template)}


@dataclass(frozen=True)
class Describe(Stage):
    """Ask a describing judge about each image.

    A judge with a template sees the face aligned to it; one without sees the method's crop.
    """

    name = "traits"
    images: Originals | Published
    frame: Frame = field(kw_only=True)
    judge: JudgeCard = field(kw_only=True)
    device: str = field(kw_only=True)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """Rows with a column for each trait, and whether there is a face as `found`."""
        return in_batch(items, self._crop, self._describe)

    def _describe(self, good: Sequence[Row]) -> list[Row]:
        import torch

        crops, rows = to_tensor([row["crop"] for row in good]), []
        with torch.inference_mode():
            network = models.describer(self.judge, self.device)
            told = network.describe(crops.to(models.resolve_device(self.device)))
        columns = checked_traits(self.judge, told, len(good))
        for index, row in enumerate(good):
            traits = {name: column[index] for name, column in columns.items()}
            seen = all(bool(np.isfinite(trait).all()) for trait in traits.values())
            found = bool(row["found"]) and seen
            rows.append(Row(row.id, {**traits, "found": np.array(found)}))
        return rows

    def _crop(self, item: Item) -> dict[str, Value]:
        if self.judge.template:
            crop = crop_of(self.images.load(item), item, self.judge.template)
            return {"crop": crop, "found": np.array(item.found)}
        crop = to_uint8(self.frame.crop(item, self.images))
        return {"crop": crop, "found": np.array(True)}


@dataclass(frozen=True)
class Compare(Stage):
    """Ask a perceptual judge how far each image is from its original, crop by crop."""

    name = "distances"
    images: Published
    frame: Frame = field(kw_only=True)
    judge: JudgeCard = field(kw_only=True)
    device: str = field(kw_only=True)

    def compute(self, items: Sequence[Item]) -> list[Row]:
        """Rows with the distance as `distance`."""
        return in_batch(items, self._pair, self._compare)

    def _compare(self, good: Sequence[Row]) -> list[Row]:
        import torch

        device, rows = models.resolve_device(self.device), []
        first, second = (
            stack([row[name] for row in good]).to(device) for name in ("original", "other")
        )
        with torch.inference_mode():
            judged = models.perceptual(self.judge, self.device).distance(first, second)
        for row, value in zip(good, judged.double().cpu().numpy(), strict=True):
            error = "" if np.isfinite(value) else f"{self.judge.name} gave no finite distance."
            rows.append(Row(row.id, {} if error else {"distance": value}, error))
        return rows

    def _pair(self, item: Item) -> dict[str, Value]:
        return {"original": self.frame.original(item), "other": self.frame.other(item, self.images)}


def checked_traits(
    judge: JudgeCard, told: "Mapping[str, torch.Tensor]", number: int
) -> dict[str, NDArray[np.float32]]:
    """What a judge described, `[B, D]` per trait; UserError where it is not what its card says."""
    shapes = {name: tuple(values.shape) for name, values in told.items()}
    expected = {name: (number, length) for name, length in judge.traits.items()}
    if shapes != expected:
        raise UserError(
            f"The judge '{judge.name}' described {shapes} instead of {expected}.",
            mend="Mend the judge, or the traits in its card.",
        )
    return {name: values.float().cpu().numpy() for name, values in told.items()}
