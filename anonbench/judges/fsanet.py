"""FSA-Net: the pose of a head from 64 pixels, by two networks whose angles are averaged."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench import weights
from anonbench.cards import JudgeCard
from anonbench.judges.angles import from_300w_lp
from anonbench.judges.onnx_session import run_each, session


class FsaNet:
    """The networks of omasaht/headpose-fsanet-pytorch after Yang et al. 2019, trained on 300W-LP.

    Their yaw is positive where a face turns to the image's left; all pose judges here say yaw
    positive to the image's right, pitch positive up, roll positive clockwise in the image.

    Args:
        card: Names the ONNX files of the networks.
        device: `cpu` or a CUDA device; the latter needs the package `onnxruntime-gpu`.

    Raises:
        MissingArtefact: A file has not been fetched.
        BadConfig: ONNX Runtime cannot run on the device here.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._sessions = [session(weights.path(name), device, card.name) for name in card.weights]

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`pose` `[B, 3]`: yaw, pitch and roll in degrees, of `[B, 3, 64, 64]` in `[0, 1]`."""
        inputs = network_input(crops.detach().float().flip(1) * 255)
        angles = [run_each(each, inputs, 3) for each in self._sessions]
        return {"pose": from_300w_lp(torch.from_numpy(np.mean(angles, axis=0)).to(crops.device))}


def network_input(images: Tensor) -> NDArray[np.float32]:
    """What the networks take, of BGR images `[B, 3, 64, 64]` in 0..255."""
    scaled: NDArray[np.float32] = ((images.float() - 127.5) / 128).cpu().numpy()
    return scaled
