"""Deep3DFaceRecon: shape and expression as coefficients of the Basel Face Model."""

from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.judges.network import imported
from anonbench.nets import d3dfr


class D3dfr:
    """The regressor of Deng et al. 2019, on faces aligned as it was trained.

    G2Face itself feeds it unaligned crops of 256 pixels, in training and to steer its decoder;
    numbers that are measured so are others than these.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been imported.
        BadData: The file is not what its importer wrote.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = imported(d3dfr.D3dfr, card.weights[0], device)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`shape` `[B, 80]` and `expression` `[B, 64]` of `[B, 3, 224, 224]` in `[0, 1]`."""
        face = d3dfr.split(self._net(crops))
        return {"shape": face.identity, "expression": face.expression}
