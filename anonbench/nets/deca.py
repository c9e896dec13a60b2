"""The coarse encoder of DECA (E_flame), under the keys of its checkpoint.

"Learning an Animatable Detailed 3D Face Model from In-The-Wild Images" (Feng et al., 2021): an
image to the parameters of the face model FLAME, of a camera and of the light. Layout: entry
`E_flame` of `deca_model.tar` (YadiraF/DECA).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from anonbench.nets import resnet50

WIDTHS = [100, 50, 50, 6, 3, 27]
DIM = sum(WIDTHS)
_POOL = 7


class Parameters(NamedTuple):
    """What the network says about a face, each `[B, n]` in the order of the 236 numbers.

    Attributes:
        shape: 100 of FLAME's shape that is the person's.
        texture: 50 of the albedo.
        expression: 50 of the shape that is the moment's.
        pose: Axis-angle rotations of the head and of the jaw, in radians.
        camera: Scale, x and y of an orthographic camera.
        light: 9 spherical harmonics of each colour.
    """

    shape: Tensor
    texture: Tensor
    expression: Tensor
    pose: Tensor
    camera: Tensor
    light: Tensor


def split(parameters: Tensor) -> Parameters:
    """Name the parts of `[B, 236]`."""
    return Parameters(*torch.split(parameters, WIDTHS, dim=1))


class Deca(nn.Module):
    """ResNet-50, average pooling over 7 x 7 places and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = resnet50.ResNet50()
        self.layers = nn.Sequential(nn.Linear(resnet50.DIM, 1024), nn.ReLU(), nn.Linear(1024, DIM))

    def forward(self, images: Tensor) -> Tensor:
        """Parameters `[B, 236]` of RGB images `[B, 3, 224, 224]` in `[0, 1]`."""
        maps = self.encoder(images)  # [B, 2048, 7, 7]
        pooled = nn.functional.avg_pool2d(maps, _POOL).flatten(1)  # [B, 2048]
        parameters: Tensor = self.layers(pooled)
        return parameters
