"""Hopenet: head pose as three classifications, under the keys of its checkpoints.

"Fine-Grained Head Pose Estimation Without Keypoints" (Ruiz et al., 2018). Layout: the state dicts
of natanielruiz/deep-head-pose; a layer `fc_finetune` in them is never used and has no place here.
"""

import torch
from torch import Tensor, nn

from anonbench.nets import resnet50

BINS = 66
STEP = 3.0
"""Degrees from one bin to the next."""
LOWEST = -99.0
"""Degrees of the first bin."""
UNUSED = ("fc_finetune.*",)
"""Keys of the official files that nothing computes with."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue in `[0, 1]`, by which the input is standardised."""
_POOL = 7


class Hopenet(resnet50.ResNet50):
    """ResNet-50, average pooling over 7 x 7 places and a classifier for each angle."""

    def __init__(self) -> None:
        super().__init__()
        self.fc_yaw = nn.Linear(resnet50.DIM, BINS)
        self.fc_pitch = nn.Linear(resnet50.DIM, BINS)
        self.fc_roll = nn.Linear(resnet50.DIM, BINS)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 3, 66]` of yaw, pitch and roll.

        Args:
            images: `[B, 3, 224, 224]` RGB, standardised (`standardised`).
        """
        maps = super().forward(images)  # [B, 2048, 7, 7]
        pooled = nn.functional.avg_pool2d(maps, _POOL).flatten(1)  # [B, 2048]
        heads = (self.fc_yaw, self.fc_pitch, self.fc_roll)
        return torch.stack([head(pooled) for head in heads], dim=1)


def standardised(images: Tensor) -> Tensor:
    """RGB images `[B, 3, H, W]` in `[0, 1]` with ImageNet's mean and deviation taken out."""
    mean, deviation = (images.new_tensor(each)[:, None, None] for each in (MEAN, DEVIATION))
    return (images - mean) / deviation


def degrees(logits: Tensor) -> Tensor:
    """The expected angles `[B, 3]` of logits `[B, 3, 66]`, with the signs of 300W-LP.

    These are yaw, positive where the face turns to the image's left, pitch, positive up, and roll,
    positive clockwise in the image: so `draw_axis` in the authors' `code/utils.py` draws them.
    """
    places = torch.arange(BINS, dtype=logits.dtype, device=logits.device)
    return (logits.softmax(dim=-1) * places).sum(dim=-1) * STEP + LOWEST
