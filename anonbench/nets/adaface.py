"""The IR-101 of AdaFace, under the keys of its checkpoints.

"AdaFace: Quality Adaptive Margin for Face Recognition" (Kim et al., 2022). The layers are nearly
those of ArcFace's 100-layer network (`anonbench.nets.iresnet`): only where a unit halves the size
but keeps the width is there no convolution beside it, and the last batch normalisation neither
scales nor shifts. It was trained on BGR. Layout: the checkpoints of mk-minchul/AdaFace, and what
the parity fixtures say of them.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

SIZE = 112
DIM = 512
# Channels and residual units of the four levels.
LEVELS = ((64, 3), (128, 13), (256, 30), (512, 3))


class Embedding(NamedTuple):
    """What the network says of crops.

    Attributes:
        direction: `[B, 512]` of length 1, which is compared.
        norm: `[B, 1]`, the length before; AdaFace takes it for the quality of the image.
    """

    direction: Tensor
    norm: Tensor


class AdaFaceIR101(nn.Module):
    """Embeds aligned face crops."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        )
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(512 * (SIZE // 16) ** 2, DIM),
            nn.BatchNorm1d(DIM, affine=False),
        )
        self.body = nn.Sequential(*_units())

    def forward(self, crops: Tensor) -> Embedding:
        """The embedding of RGB crops `[B, 3, 112, 112]` in `[0, 1]`."""
        x = (crops.flip(1) - 0.5) / 0.5  # the network sees BGR
        x = self.body(self.input_layer(x))  # [B, 512, 7, 7]
        x = self.output_layer(x)  # [B, 512]
        norm = x.norm(dim=1, keepdim=True)
        return Embedding(x / norm, norm)


class Unit(nn.Module):
    """Two 3x3 convolutions, the second with the stride, beside a shortcut."""

    def __init__(self, width: int, channels: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = nn.MaxPool2d(1, stride)  # every other pixel, or all
        if width != channels:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(width, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, H / stride, W / stride]`."""
        return torch.add(self.res_layer(x), self.shortcut_layer(x))


def _units() -> list[Unit]:
    """The units of all levels; the first of a level halves the size."""
    units, width = [], 64
    for channels, count in LEVELS:
        units += [Unit(width, channels, 2)]
        units += [Unit(channels, channels, 1) for _ in range(count - 1)]
        width = channels
    return units
