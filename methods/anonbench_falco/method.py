"""FALCO as a method of the suite."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.errors import BadData
from anonbench.measuring import read_settings
from anonbench.nets.farl import shrink
from anonbench.values import Part
from anonbench_falco.checkpoints import load_networks
from anonbench_falco.inventory import inventory
from anonbench_falco.optimise import LAYERS, Objective, Step, optimise
from anonbench_falco.pace import Pace
from anonbench_falco.perception import Perception
from anonbench_falco.pool import Recipe, draw_fake, open_pool
from anonbench_falco.settings import FalcoSettings, Scaling

INVERTED_SIDE = 256
"""Pixels of the image that e4e inverts."""


class Falco:
    """Inverts a face, takes the middle codes of the most similar fake, and optimises these.

    One image follows the other, so that none depends on its batch. Nothing is random but the pool,
    which its seed decides.

    Args:
        card: Its config is `FalcoSettings`.
        device: Where PyTorch runs the networks.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
        BadConfig: A parameter is out of range.
        StoreError: The pool cannot be kept.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        self.card = card
        self._settings = read_settings(FalcoSettings, card)
        networks = load_networks(device)
        perception = Perception(networks.recogniser, networks.attributes, self._settings.ranges)
        self._objective = Objective(networks.generator, perception, self._settings.margin)
        self._step = Step(self._objective)
        self._inverter = networks.inverter
        recipe = Recipe(
            seed=self._settings.pool_seed,
            truncation=self._settings.truncation,
            ranges=self._settings.ranges,
            weights=networks.digests,
        )
        draw = partial(draw_fake, self._objective, networks.mean, recipe)
        self._pool = open_pool(recipe, self._settings.pool, draw, device)

    @classmethod
    def parts(cls, card: MethodCard) -> list[Part]:
        """Every network that is run, and a step; see `anonbench.interfaces.Profiled`."""
        return inventory(read_settings(FalcoSettings, card).steps)

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Draw the faces with codes that are somebody else's.

        Args:
            faces: `[B, 3, S, S]` in `[0, 1]`, FFHQ-aligned.
            keys: B keys, which mean nothing.

        Returns:
            `[B, 3, S, S]` in `[0, 1]`.

        Raises:
            BadData: They are not square RGB.
        """
        return self.anonymize_with_remarks(faces, keys)[0]

    @torch.no_grad()
    def anonymize_with_remarks(
        self, faces: Tensor, keys: Sequence[bytes]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The same, and of each image what the card lists."""
        if faces.shape[1] != 3 or faces.shape[2] != faces.shape[3]:
            raise BadData(
                f"FALCO takes square RGB crops, not {' x '.join(map(str, faces.shape[1:]))}.",
                mend=f"Align faces to the template '{self.card.template}'.",
            )
        pace = Pace("steps of FALCO's optimisation", len(faces) * self._settings.steps)
        each = [self._anonymize_one(face[None].clone(), pace) for face in faces]
        images, said = zip(*each, strict=True)
        return torch.cat(images), {
            name: torch.cat([one[name] for one in said]) for name in self.card.remarks
        }

    def _anonymize_one(self, face: Tensor, pace: Pace) -> tuple[Tensor, dict[str, Tensor]]:
        features = self._objective.perception.features(face, "original")
        neighbour = self._pool.nearest(features)
        codes = self._inverter(shrink(face, INVERTED_SIDE)).clone()
        codes[:, LAYERS] = neighbour.styles[:, None]
        target = self._objective.target(face)
        codes = optimise(self._step, codes, target, self._settings.steps, pace.advance)
        image = self._objective.draw(codes)
        losses = self._objective(image, target)
        return published(image, self._settings.scaling, face.shape[-1]), {
            "identity_cosine": losses.cosine,
            "attribute_loss": losses.attributes,
            "neighbour_cosine": neighbour.cosines,
        }


def published(image: Tensor, scaling: Scaling, side: int) -> Tensor:
    """A generated image `[1, 3, H, W]` as a crop `[1, 3, side, side]` in `[0, 1]`.

    Args:
        image: Nominally in `[0, 1]`.
        scaling: What becomes of values beyond; `adaptive` maps the image's least value to 0 and its
            largest to 1, as the authors' `tensor2image` does, which makes colours pale.
        side: Of the crop; bilinear, with antialiasing.
    """
    if scaling == "adaptive":
        low, high = image.aminmax()
        image = (image - low) / (high - low)
    return shrink(image.clamp(0, 1), side).clamp(0, 1)
