"""The methods: each applies one filter to the whole crop or to the face in it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.errors import BadConfig
from anonbench.values import Part
from anonbench_obfuscation.filters import REFERENCE_SIZE, face_mask, gaussian_blur, pixelate


class Identity:
    """No change at all, so nothing to undo: the reference row 'Original' of every table.

    What is recovered is what was published: with a lossy channel, the channel's own loss.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        self.card = card

    @classmethod
    def parts(cls, card: MethodCard) -> tuple[Part, ...]:
        """None: there is no network."""
        return ()

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """A copy of the crops."""
        return faces.clone()

    def recover(self, published: Tensor, keys: Sequence[bytes]) -> Tensor:
        """A copy of what was published."""
        return published.clone()


class Obfuscation:
    """A filter on a region of the crop; a subclass says which filter.

    Args:
        card: Its config holds `region`: `crop` or `face`.
        device: Not needed, the filters run where the crops are.

    Raises:
        BadConfig: The region is unknown.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        self.card = card
        self.region = card.config["region"]
        if self.region not in ("crop", "face"):
            raise BadConfig(
                f"{card.name}:region must be crop or face, not '{self.region}'.",
                mend=f"Write {card.name}:region=crop",
            )

    @classmethod
    def parts(cls, card: MethodCard) -> tuple[Part, ...]:
        """None: filters have no networks."""
        return ()

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """The crops `[B, 3, H, W]` with the filter applied inside the region; keys are unused."""
        filtered = self._filter(faces).clamp(0, 1)
        if self.region == "crop":
            return filtered
        height, width = faces.shape[-2:]
        return torch.where(face_mask(height, width, faces.device), filtered, faces)

    def _filter(self, faces: Tensor) -> Tensor:
        raise NotImplementedError


class Blackout(Obfuscation):
    """Black pixels: nothing is left of the region."""

    def _filter(self, faces: Tensor) -> Tensor:
        return torch.zeros_like(faces)


class Blur(Obfuscation):
    """Gaussian blur.

    Args:
        card: Its config holds `sigma`, in pixels of a 256-px crop, and `region`.
        device: Not needed, the filters run where the crops are.

    Raises:
        BadConfig: The sigma is not in (0, 256], or the region is unknown.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        super().__init__(card, device)
        self.sigma = float(card.config["sigma"])
        if not 0 < self.sigma <= REFERENCE_SIZE:
            raise BadConfig(
                f"{card.name}:sigma must be above 0 and at most {REFERENCE_SIZE}, "
                f"not {card.config['sigma']}.",
                why=f"It is the blur's standard deviation in pixels of a {REFERENCE_SIZE}-px crop.",
                mend=f"Write for example {card.name}:sigma=8",
            )

    def _filter(self, faces: Tensor) -> Tensor:
        return gaussian_blur(faces, self.sigma * faces.shape[-2] / REFERENCE_SIZE)


class Pixelate(Obfuscation):
    """Mosaic: every square of pixels becomes its mean colour.

    Args:
        card: Its config holds `block`, in pixels of a 256-px crop, and `region`.
        device: Not needed, the filters run where the crops are.

    Raises:
        BadConfig: The block is below 1, or the region is unknown.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        super().__init__(card, device)
        self.block = int(card.config["block"])
        if self.block < 1:
            raise BadConfig(
                f"{card.name}:block must be at least 1, not {card.config['block']}.",
                why=f"It is the side of a square in pixels of a {REFERENCE_SIZE}-px crop.",
                mend=f"Write for example {card.name}:block=16",
            )

    def _filter(self, faces: Tensor) -> Tensor:
        return pixelate(faces, max(1, round(self.block * faces.shape[-2] / REFERENCE_SIZE)))
