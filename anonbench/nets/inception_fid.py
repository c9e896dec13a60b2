"""The Inception-v3 that FID is defined by, under the keys of pytorch-fid's file.

"Rethinking the Inception Architecture for Computer Vision" (Szegedy et al., CVPR 2016), in the
TensorFlow version of 2015-12-05 that Heusel et al. took for FID. Layout: the state dict
`pt_inception-2015-12-05-6726825d.pth` of mseitzer/pytorch-fid, whose keys are torchvision's. Three
things are TensorFlow's and not torchvision's: average pooling leaves out what is padded, the last
block pools by maximum, and images are resized without antialiasing.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

DIM = 2048
SIZE = 299
# The classifier, for 1008 classes, which no feature comes from.
UNUSED = ("fc.*",)


class Taps(NamedTuple):
    """Maps that distances may be taken on, and the features that FID is taken on.

    Attributes:
        block0: `[B, 64, 73, 73]`, after the first max pooling.
        block1: `[B, 192, 35, 35]`, after the second.
        block2: `[B, 768, 17, 17]`, where the auxiliary classifier stood.
        pool3: `[B, 2048]`, the final average.
    """

    block0: Tensor
    block1: Tensor
    block2: Tensor
    pool3: Tensor


class InceptionFid(nn.Module):
    """Inception-v3 without its classifier, for images of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, stride=2, padding=0)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3, padding=0)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3, padding=0)
        self.Mixed_5b = _BlockA(192, pool=32)
        self.Mixed_5c = _BlockA(256, pool=64)
        self.Mixed_5d = _BlockA(288, pool=64)
        self.Mixed_6a = _BlockB(288)
        self.Mixed_6b = _BlockC(768, inner=128)
        self.Mixed_6c = _BlockC(768, inner=160)
        self.Mixed_6d = _BlockC(768, inner=160)
        self.Mixed_6e = _BlockC(768, inner=192)
        self.Mixed_7a = _BlockD(768)
        self.Mixed_7b = _BlockE(1280)
        self.Mixed_7c = _BlockE(2048, pool_by_maximum=True)

    def forward(self, images: Tensor) -> Tensor:
        """The 2048 features, `[B, 2048]` and at least 0, of images `[B, 3, H, W]` in `[0, 1]`."""
        return self.taps(images).pool3

    def taps(self, images: Tensor) -> Taps:
        """The same with the maps on the way."""
        x = functional.interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False)
        x = self.Conv2d_1a_3x3(2 * x - 1)  # [B, 32, 149, 149]
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(x))  # [B, 64, 147, 147]
        block0 = functional.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(block0))  # [B, 192, 71, 71]
        block1 = functional.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(block1)))  # [B, 288, 35, 35]
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))  # [B, 768, 17, 17]
        block2 = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(block2)))  # [B, 2048, 8, 8]
        return Taps(block0, block1, block2, x.mean(dim=(2, 3)))


class _Conv(nn.Module):
    """Convolution, batch normalisation, ReLU; keeps the size unless told otherwise."""

    def __init__(
        self,
        width: int,
        channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = (high // 2, wide // 2) if padding is None else (padding, padding)
        self.conv = nn.Conv2d(width, channels, (high, wide), stride, around, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class _BlockA(nn.Module):
    """Branches of 1x1, 5x5 and twice 3x3."""

    def __init__(self, width: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(width, 64, 1)
        self.branch5x5_1 = _Conv(width, 48, 1)
        self.branch5x5_2 = _Conv(48, 64, 5)
        self.branch3x3dbl_1 = _Conv(width, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3)
        self.branch3x3dbl_3 = _Conv(96, 96, 3)
        self.branch_pool = _Conv(width, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.branch1x1(x)
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([one, five, double, self.branch_pool(_average(x))], dim=1)


class _BlockB(nn.Module):
    """Halves the size after block A."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(width, 384, 3, stride=2, padding=0)
        self.branch3x3dbl_1 = _Conv(width, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, functional.max_pool2d(x, 3, stride=2)], dim=1)


class _BlockC(nn.Module):
    """Branches of 7x7, taken apart into rows and columns."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        row, column = (1, 7), (7, 1)
        self.branch1x1 = _Conv(width, 192, 1)
        self.branch7x7_1 = _Conv(width, inner, 1)
        self.branch7x7_2 = _Conv(inner, inner, row)
        self.branch7x7_3 = _Conv(inner, 192, column)
        self.branch7x7dbl_1 = _Conv(width, inner, 1)
        self.branch7x7dbl_2 = _Conv(inner, inner, column)
        self.branch7x7dbl_3 = _Conv(inner, inner, row)
        self.branch7x7dbl_4 = _Conv(inner, inner, column)
        self.branch7x7dbl_5 = _Conv(inner, 192, row)
        self.branch_pool = _Conv(width, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        parts = [self.branch1x1(x), seven, double, self.branch_pool(_average(x))]
        return torch.cat(parts, dim=1)


class _BlockD(nn.Module):
    """Halves the size after block C."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch3x3_1 = _Conv(width, 192, 1)
        self.branch3x3_2 = _Conv(192, 320, 3, stride=2, padding=0)
        self.branch7x7x3_1 = _Conv(width, 192, 1)
        self.branch7x7x3_2 = _Conv(192, 192, (1, 7))
        self.branch7x7x3_3 = _Conv(192, 192, (7, 1))
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        parts = [three, self.branch7x7x3_4(seven), functional.max_pool2d(x, 3, stride=2)]
        return torch.cat(parts, dim=1)


class _BlockE(nn.Module):
    """Branches of 3x3 that end in a row beside a column."""

    def __init__(self, width: int, *, pool_by_maximum: bool = False) -> None:
        super().__init__()
        self.branch1x1 = _Conv(width, 320, 1)
        self.branch3x3_1 = _Conv(width, 384, 1)
        self.branch3x3_2a = _Conv(384, 384, (1, 3))
        self.branch3x3_2b = _Conv(384, 384, (3, 1))
        self.branch3x3dbl_1 = _Conv(width, 448, 1)
        self.branch3x3dbl_2 = _Conv(448, 384, 3)
        self.branch3x3dbl_3a = _Conv(384, 384, (1, 3))
        self.branch3x3dbl_3b = _Conv(384, 384, (3, 1))
        self.branch_pool = _Conv(width, 192, 1)
        self._pool_by_maximum = pool_by_maximum

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, 1, padding=1) if self._pool_by_maximum else _average(x)
        parts = [
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(parts, dim=1)


def _average(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
