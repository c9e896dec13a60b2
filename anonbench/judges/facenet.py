"""The recognisers of FaceNet as facenet-pytorch publishes them."""

from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.judges.network import imported, with_mirrored
from anonbench.nets.inception_resnet_v1 import InceptionResnetV1


class FaceNet:
    """Inception-ResNet-v1; its embeddings have length 1.

    facenet-pytorch embeds a crop as it is. davidsandberg/facenet evaluates LFW with the mirrored
    crop's embedding laid behind; the card's parameter `flip` adds it instead.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadData: The file is not what its importer wrote.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = imported(InceptionResnetV1, card.weights[0], device, unused=("logits.*",))

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]`, differentiable in the crops `[B, 3, 160, 160]` in `[0, 1]`."""
        return with_mirrored(self._net, crops, bool(self.card.config["flip"]))
