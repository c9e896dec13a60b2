"""The recognisers of ArcFace as insightface publishes them."""

from typing import ClassVar

from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.judges.network import imported, with_mirrored
from anonbench.nets.iresnet import Depth, IResNet


class ArcFaceR50:
    """IResNet-50 on RGB; its embeddings are not normalised.

    insightface evaluates with the sum of a crop's and the mirrored crop's embeddings, before they
    are normalised; the card's parameter `flip` says whether this judge does.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been imported.
        BadData: The file is not what its importer wrote.
    """

    depth: ClassVar[Depth] = 50

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = imported(lambda: IResNet(self.depth), card.weights[0], device)

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]`, differentiable in the crops `[B, 3, 112, 112]` in `[0, 1]`."""
        return with_mirrored(self._net, crops, bool(self.card.config["flip"]))


class ArcFaceR100(ArcFaceR50):
    """IResNet-100, likewise."""

    depth = 100
