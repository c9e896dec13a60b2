"""LPIPS as judges: one per network in whose features images are compared."""

from typing import ClassVar

import torch
from torch import Tensor

from anonbench.interfaces import JudgeCard
from anonbench.nets.lpips import Lpips, Trunk


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
        distances: Tensor = self._net(first * 2 - 1, second * 2 - 1)
        return distances


class LpipsVgg(LpipsAlex):
    """LPIPS 0.1 in the features of VGG16, which many methods are trained with."""

    trunk = "vgg"
