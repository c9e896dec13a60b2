"""The crops of a photo: which can be processed together, and a method at work on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from anonbench import weights
from anonbench.cards import MethodCard
from anonbench.data.splice import footprint
from anonbench.data.warp import Floats, Pixels


@dataclass(frozen=True)
class Machine:
    """Where and how methods run.

    Attributes:
        device: As torch has it, or `auto`.
        batch_size: Crops per call of a method.
        offline: Whether missing weights are an error rather than fetched.
    """

    device: str = "auto"
    batch_size: int = 32
    offline: bool = False

    def prepare(self, names: Sequence[str]) -> None:
        """Fetch the artefacts that are not on this machine.

        Raises:
            MissingArtefact: Some are not to be had.
        """
        weights.require_by_hand(names)
        weights.fetch(names, offline=self.offline)

    def torch_device(self) -> str:
        """The device by its own name.

        Raises:
            BadConfig: It does not exist here.
        """
        from anonbench.engine import models

        device = models.resolve_device(self.device)
        models.forbid_tf32(device)
        return device

    def run(
        self,
        step: Literal["anonymize", "recover"],
        card: MethodCard,
        crops: Sequence[Pixels],
        keys: Sequence[bytes],
    ) -> list[Pixels]:
        """A step of a method on crops.

        Args:
            step: Which.
            card: The method.
            crops: `[S, S, 3]` uint8 each.
            keys: One key for each.

        Returns:
            Crops of the same size, rounded to 8 bits.

        Raises:
            UserError: The method cannot be built here, or returns something else than crops.
        """
        import torch
        from torch import Tensor

        from anonbench.engine import models
        from anonbench.engine.channel import to_uint8
        from anonbench.engine.stages import checked_crops, finite
        from anonbench.engine.steps import to_tensor

        device = self.torch_device()
        call: Callable[[Tensor, Sequence[bytes]], Tensor] = (
            models.reversible(card, self.device).recover
            if step == "recover"
            else models.method(card, self.device).anonymize
        )
        done: list[Pixels] = []
        for start in range(0, len(crops), self.batch_size):
            batch = slice(start, start + self.batch_size)
            faces = to_tensor(crops[batch], device)
            with torch.no_grad():  # not inference_mode: some methods optimise
                output = call(faces, keys[batch])
            made = checked_crops(card, output, faces).cpu().numpy()
            done += [to_uint8(finite(card, crop)) for crop in made]
        return done


def rounds(matrices: Sequence[Floats], size: int) -> list[list[int]]:
    """Crops in groups that do not touch each other, in the order to process them.

    A crop often holds a part of the next person's face. Were it taken from the original, pasting
    it would bring that part back; so a crop is taken only after all earlier ones that it touches
    have been anonymized.

    Args:
        matrices: Similarities from photo pixels to crop pixels.
        size: Side of the crops in pixels.

    Returns:
        Indices; within a group they rise.
    """
    places = [footprint(matrix, size) for matrix in matrices]
    groups: list[list[int]] = []
    turn: list[int] = []
    for number, (low, high) in enumerate(places):
        touched = [
            turn[other]
            for other, (least, greatest) in enumerate(places[:number])
            if (low <= greatest).all() and (least <= high).all()
        ]
        turn.append(max(touched, default=-1) + 1)
        if turn[-1] == len(groups):
            groups.append([])
        groups[turn[-1]].append(number)
    return groups
