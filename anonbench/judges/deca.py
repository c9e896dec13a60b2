"""DECA: shape and expression as parameters of the face model FLAME."""

from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.judges.network import imported
from anonbench.nets import deca


class Deca:
    """The coarse encoder of Feng et al. 2021.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been imported.
        BadData: The file is not what its importer wrote.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = imported(deca.Deca, card.weights[0], device)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`shape` `[B, 100]` and `expression` `[B, 50]` of `[B, 3, 224, 224]` in `[0, 1]`."""
        face = deca.split(self._net(crops))
        return {"shape": face.shape, "expression": face.expression}
