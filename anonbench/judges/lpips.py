"""LPIPS as judges: one per network in whose features images are compared."""

from typing import ClassVar

import torch
from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.nets.lpips import Lpips, Trunk

_AT_ONCE = 8
"""Pairs compared at a time: VGG16's maps of one pair of 256 pixels take 100 MB."""


class LpipsAlex:
    """LPIPS 0.1 in the features of AlexNet, which its authors advise as a metric.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadData: The file is not what was published.
    """

    trunk: ClassVar[Trunk] = "alex"

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        # Weights created in inference mode could never take part in a gradient.
        with torch.inference_mode(False):
            self._net = Lpips.load(self.trunk).to(device)

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances `[B]` of images `[B, 3, H, W]` in `[0, 1]`; the network takes `[-1, 1]`."""
        pairs = zip(torch.split(first, _AT_ONCE), torch.split(second, _AT_ONCE), strict=True)
        return torch.cat([self._net(a * 2 - 1, b * 2 - 1) for a, b in pairs])


class LpipsVgg(LpipsAlex):
    """LPIPS 0.1 in the features of VGG16, which many methods are trained with."""

    trunk = "vgg"
