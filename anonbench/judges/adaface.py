"""The recogniser of AdaFace."""

import torch
from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.judges.network import imported, with_mirrored
from anonbench.nets.adaface import AdaFaceIR101


class AdaFace:
    """IR-101, which turns the crop to BGR itself; its embeddings are not normalised.

    AdaFace evaluates with the sum of a crop's and the mirrored crop's embeddings, each as long as
    the network left it; the card's parameter `flip` says whether this judge does.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been imported.
        BadData: The file is not what its importer wrote.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = imported(AdaFaceIR101, card.weights[0], device)

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]`, differentiable in the crops `[B, 3, 112, 112]` in `[0, 1]`."""
        return with_mirrored(self._whole, crops, bool(self.card.config["flip"]))

    def _whole(self, crops: Tensor) -> Tensor:
        """The embedding with its length."""
        direction, norm = self._net(crops)
        return torch.mul(direction, norm)
