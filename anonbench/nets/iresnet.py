"""IResNet, the recogniser of ArcFace, under the keys of insightface's checkpoints.

"Additive Angular Margin Loss for Deep Face Recognition" (Deng et al., 2019), with the residual
unit of section 3.2 (BN-Conv-BN-PReLU-Conv-BN) and the output setting E (BN-Dropout-FC-BN).
Layout: `recognition/arcface_torch/backbones/iresnet.py` of deepinsight/insightface.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.errors import BadConfig

SIZE = 112
DIM = 512
Depth = Literal[18, 34, 50, 100]
# Residual units of the four levels, which have 64, 128, 256 and 512 channels.
UNITS: dict[Depth, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 14, 3),
    100: (3, 13, 30, 3),
}


class IResNet(nn.Module):
    """Embeds aligned face crops.

    Args:
        depth: 50 for `ms1mv3_arcface_r50`, 100 for the R100 models; 18 and 34 exist as well.

    Raises:
        BadConfig: There is no IResNet of this depth.
    """

    def __init__(self, depth: Depth = 50) -> None:
        super().__init__()
        if depth not in UNITS:
            raise BadConfig(
                f"There is no IResNet-{depth}.", why=f"The depths are {get_args(Depth)}."
            )
        units = UNITS[depth]
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        self.layer1 = _level(64, 64, units[0])
        self.layer2 = _level(64, 128, units[1])
        self.layer3 = _level(128, 256, units[2])
        self.layer4 = _level(256, 512, units[3])
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * (SIZE // 16) ** 2, DIM)
        self.features = nn.BatchNorm1d(DIM)

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]`, not normalised, of RGB crops `[B, 3, 112, 112]` in `[0, 1]`.

        The last batch normalisation leaves each entry at about N(0, 1) over faces.
        """
        x = (crops - 0.5) / 0.5
        x = self.prelu(self.bn1(self.conv1(x)))  # [B, 64, 112, 112]
        x = self.layer1(x)  # [B, 64, 56, 56]
        x = self.layer2(x)  # [B, 128, 28, 28]
        x = self.layer3(x)  # [B, 256, 14, 14]
        x = self.layer4(x)  # [B, 512, 7, 7]
        x = self.fc(self.bn2(x).flatten(1))  # [B, 512]
        embedding: Tensor = self.features(x)
        return embedding


class Unit(nn.Module):
    """Two 3x3 convolutions, the second with the stride, beside a shortcut."""

    def __init__(self, width: int, channels: int, *, halve: bool) -> None:
        super().__init__()
        stride = 2 if halve else 1
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if halve:
            self.downsample = nn.Sequential(
                nn.Conv2d(width, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, H, W]`, or to half of H and W."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return torch.add(y, self.downsample(x))


def nearest_input(images: Tensor) -> Tensor:
    """Images of any size as `[B, 3, 112, 112]`, by nearest neighbour.

    The public code of G2Face feeds its 256-px crops to the recogniser in this way, without the
    five-point alignment that ArcFace was trained with.
    """
    return functional.interpolate(images, size=(SIZE, SIZE), mode="nearest")


def _level(width: int, channels: int, count: int) -> nn.Sequential:
    first = Unit(width, channels, halve=True)
    return nn.Sequential(first, *(Unit(channels, channels, halve=False) for _ in range(count - 1)))
