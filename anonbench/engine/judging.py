"""The stages in which judges look at images: embed, describe, compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import JudgeCard
from anonbench.engine import models
from anonbench.engine.channel import to_uint8
from anonbench.engine.faces import Frame, Item, Originals, Published, crop_of
from anonbench.engine.steps import Prepared, Stage, column, to_batch, to_tensor
from anonbench.engine.store import Row
from anonbench.errors import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class _Judging(Stage):
    """A stage with a judge.

    Attributes:
        judge: The judge.
        device: Where it computes.
    """

    judge: JudgeCard = field(kw_only=True)
    device: str = field(kw_only=True)

    @property
    def batch(self) -> int | None:
        """As the judge's card says."""
        return self.judge.batch


@dataclass(frozen=True)
class Embed(_Judging):
    """Align each image to a recogniser's template and embed it."""

    name = "embeddings"

    def prepare(self, item: Item) -> Prepared:
        """The aligned crop."""
        crop = crop_of(self.images.load(item), item, self.judge.template)
        return Prepared(item.id, {"crop": crop})

    def infer(self, batch: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """The embeddings as `vector`."""
        import torch

        crops = to_tensor(column(batch, "crop"), models.resolve_device(self.device))
        with torch.inference_mode():
            return {"vector": models.recogniser(self.judge, self.device).embed(crops).float()}

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """The embedding as `vector`."""
        if not np.isfinite(told["vector"]).all():
            error = f"{self.judge.name} gave numbers that are not finite."
            return Row(prepared.id, error=error)
        return Row(prepared.id, told)


@dataclass(frozen=True)
class Describe(_Judging):
    """Ask a describing judge about each image.

    A judge with a template sees the face aligned to it; one without sees the method's crop.
    """

    name = "traits"
    images: Originals | Published
    frame: Frame = field(kw_only=True)

    def prepare(self, item: Item) -> Prepared:
        """The crop, and whether there is a face in it."""
        if self.judge.template:
            crop = crop_of(self.images.load(item), item, self.judge.template)
            return Prepared(item.id, {"crop": crop, "found": np.array(item.found)})
        crop = to_uint8(self.frame.crop(item, self.images))
        return Prepared(item.id, {"crop": crop, "found": np.array(True)})

    def infer(self, batch: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """The traits by their names."""
        import torch

        crops = to_tensor(column(batch, "crop"), models.resolve_device(self.device))
        with torch.inference_mode():
            told = models.describer(self.judge, self.device).describe(crops)
            return checked_traits(self.judge, told, len(batch))

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """A column for each trait, and whether there is a face as `found`."""
        seen = all(bool(np.isfinite(trait).all()) for trait in told.values())
        found = bool(prepared.values["found"]) and seen
        return Row(prepared.id, {**told, "found": np.array(found)})


@dataclass(frozen=True)
class Compare(_Judging):
    """Ask a perceptual judge how far each image is from its original, crop by crop."""

    name = "distances"
    images: Published
    frame: Frame = field(kw_only=True)

    def prepare(self, item: Item) -> Prepared:
        """Both crops."""
        original, other = self.frame.original(item), self.frame.other(item, self.images)
        return Prepared(item.id, {"original": original, "other": other})

    def infer(self, batch: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """The distances as `distance`."""
        import torch

        device = models.resolve_device(self.device)
        first, second = (to_batch(column(batch, name), device) for name in ("original", "other"))
        with torch.inference_mode():
            judged = models.perceptual(self.judge, self.device).distance(first, second)
        return {"distance": judged.double()}

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """The distance as `distance`."""
        if not np.isfinite(told["distance"]):
            return Row(prepared.id, error=f"{self.judge.name} gave no finite distance.")
        return Row(prepared.id, told)


def checked_traits(
    judge: JudgeCard, told: "Mapping[str, torch.Tensor]", number: int
) -> "dict[str, torch.Tensor]":
    """What a judge described, `[B, D]` per trait; UserError where it is not what its card says."""
    shapes = {name: tuple(values.shape) for name, values in told.items()}
    expected = {name: (number, length) for name, length in judge.traits.items()}
    if shapes != expected:
        raise UserError(
            f"The judge '{judge.name}' described {shapes} instead of {expected}.",
            mend="Mend the judge, or the traits in its card.",
        )
    return {name: values.float() for name, values in told.items()}
