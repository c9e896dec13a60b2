"""Hopenet: the pose of a head, from its looks alone."""

from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.judges.angles import from_300w_lp
from anonbench.judges.network import imported
from anonbench.nets import hopenet


class Hopenet:
    """The network of Ruiz et al. 2018, trained on 300W-LP.

    Its yaw is positive where a face turns to the image's left; all pose judges here say yaw
    positive to the image's right, pitch positive up, roll positive clockwise in the image.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been imported.
        BadData: The file is not what its importer wrote.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = imported(hopenet.Hopenet, card.weights[0], device)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`pose` `[B, 3]`: yaw, pitch and roll in degrees, of `[B, 3, 224, 224]` in `[0, 1]`."""
        angles = hopenet.degrees(self._net(hopenet.standardised(crops)))
        return {"pose": from_300w_lp(angles)}
