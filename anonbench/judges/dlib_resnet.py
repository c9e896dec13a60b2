"""The recogniser of dlib and of the `face_recognition` package, run by PyTorch."""

import torch
from torch import Tensor

from anonbench import weights
from anonbench.cards import JudgeCard
from anonbench.nets.dlib_resnet import load_dlib_resnet


class DlibResNet:
    """dlib's `face_recognition_model_v1`, without jittering.

    Two faces are compared by the Euclidean distance of the embeddings as they are (dlib calls
    them the same person below 0.6) or of the normalised ones.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been fetched.
        UserError: The file is damaged.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        # Weights created in inference mode could never take part in a gradient.
        with torch.inference_mode(False):
            net = load_dlib_resnet(weights.path(card.weights[0]))
            self._net = net.to(device).to(memory_format=torch.channels_last)

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 128]`, differentiable in the crops `[B, 3, 150, 150]` in `[0, 1]`."""
        embeddings: Tensor = self._net(crops)
        return embeddings
