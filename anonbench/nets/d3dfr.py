"""The coefficient regressor of Deep3DFaceRecon (D3DFR), under the keys of its checkpoint.

"Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (Deng et al., 2019). Layout:
`net_recon` in `epoch_20.pth` of sicxu/Deep3DFaceRecon_pytorch. `anonbench.nets.bfm` turns the
coefficients into shape, colour and landmarks.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from anonbench.nets import resnet50

DIM = 257


class Coefficients(NamedTuple):
    """What the network says about a face, each `[B, n]` in the order of the 257 numbers.

    Attributes:
        identity: 80 of the shape that is the person's.
        expression: 64 of the shape that is the moment's.
        texture: 80 of the albedo.
        angle: Rotation about x, y and z in radians.
        lighting: 9 spherical harmonics of each colour.
        translation: Of the face before the camera.
    """

    identity: Tensor
    expression: Tensor
    texture: Tensor
    angle: Tensor
    lighting: Tensor
    translation: Tensor


def split(coefficients: Tensor) -> Coefficients:
    """Name the parts of `[B, 257]`."""
    return Coefficients(*torch.split(coefficients, [80, 64, 80, 3, 27, 3], dim=1))


class D3dfr(nn.Module):
    """ResNet-50, global average pooling and one linear layer for each kind of coefficient."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = resnet50.ResNet50()
        # The translation is regressed in two layers, x and y beside the depth.
        widths = (80, 64, 80, 3, 27, 2, 1)
        self.final_layers = nn.ModuleList(nn.Conv2d(resnet50.DIM, n, 1) for n in widths)

    def forward(self, images: Tensor) -> Tensor:
        """Coefficients `[B, 257]` of RGB images `[B, 3, H, W]` in `[0, 1]`.

        Trained at 224 px after the alignment to five 3-D landmarks; the pooling takes any size,
        and the public code of G2Face feeds 256-px crops as they are.
        """
        pooled = self.backbone(images).mean(dim=(2, 3), keepdim=True)  # [B, 2048, 1, 1]
        return torch.cat([layer(pooled) for layer in self.final_layers], dim=1).flatten(1)
