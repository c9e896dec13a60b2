"""Inception-ResNet-v1, the recogniser of FaceNet, under the keys of facenet-pytorch's checkpoints.

"Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning" (Szegedy et
al., 2016), section 3.2, with the widths of davidsandberg/facenet; the idea of an embedding on the
unit sphere is of "FaceNet" (Schroff et al., 2015). Keys and sizes: the files that
timesler/facenet-pytorch publishes, and what the parity fixtures say of them.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 160
DIM = 512
# How many residual blocks stand one behind the other at 1/8, 1/16 and 1/32 of the input's size,
# and by how much each scales what it adds.
BLOCKS = (5, 10, 5)
SCALES = (0.17, 0.10, 0.20)
# Batch normalisations have TensorFlow's epsilon, in which the published weights were trained.
EPSILON = 1e-3

Kernel = tuple[int, int]


class InceptionResnetV1(nn.Module):
    """Embeds face crops, and says whose they are where it has a classifier.

    Args:
        classes: Number of people that `classify` tells apart: 8631 for the VGGFace2 weights,
            10575 for CASIA-WebFace; 0 for none.
        dropout: Share of features that are dropped while training.
    """

    def __init__(self, classes: int = 0, dropout: float = 0.6) -> None:
        super().__init__()
        self.conv2d_1a = Conv(3, 32, 3, stride=2)
        self.conv2d_2a = Conv(32, 32, 3)
        self.conv2d_2b = Conv(32, 64, 3, padding=1)
        self.conv2d_3b = Conv(64, 80, 1)
        self.conv2d_4a = Conv(80, 192, 3)
        self.conv2d_4b = Conv(192, 256, 3, stride=2)
        self.repeat_1 = nn.Sequential(*(block35(SCALES[0]) for _ in range(BLOCKS[0])))
        self.mixed_6a = Reduction(
            [
                Conv(256, 384, 3, stride=2),
                _chain([256, 192, 192], [1, 3], Conv(192, 256, 3, stride=2)),
            ]
        )
        self.repeat_2 = nn.Sequential(*(block17(SCALES[1]) for _ in range(BLOCKS[1])))
        self.mixed_7a = Reduction(
            [
                _chain([896, 256], [1], Conv(256, 384, 3, stride=2)),
                _chain([896, 256], [1], Conv(256, 256, 3, stride=2)),
                _chain([896, 256, 256], [1, 3], Conv(256, 256, 3, stride=2)),
            ]
        )
        self.repeat_3 = nn.Sequential(*(block8(SCALES[2]) for _ in range(BLOCKS[2])))
        self.block8 = block8(1.0, rectify=False)
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(1792, DIM, bias=False)
        self.last_bn = nn.BatchNorm1d(DIM, eps=EPSILON)
        if classes:
            self.logits = nn.Linear(DIM, classes)

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]` of length 1 of RGB crops `[B, 3, 160, 160]` in `[0, 1]`.

        Other sizes of 75 pixels and more work, too.
        """
        return functional.normalize(self.features(crops))

    def classify(self, crops: Tensor) -> Tensor:
        """Logits `[B, classes]` of the people, from the embedding before it is normalised."""
        logits: Tensor = self.logits(self.features(crops))
        return logits

    def features(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]` before they are brought to length 1."""
        x = (crops * 255 - 127.5) / 128
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))  # [B, 64, 77, 77]
        x = functional.max_pool2d(x, 3, stride=2)  # [B, 64, 38, 38]
        x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(x)))  # [B, 256, 17, 17]
        x = self.mixed_6a(self.repeat_1(x))  # [B, 896, 8, 8]
        x = self.mixed_7a(self.repeat_2(x))  # [B, 1792, 3, 3]
        x = self.block8(self.repeat_3(x))  # [B, 1792, 3, 3]
        x = self.dropout(x.mean(dim=(2, 3)))  # [B, 1792]
        embedding: Tensor = self.last_bn(self.last_linear(x))
        return embedding


class Conv(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self,
        width: int,
        channels: int,
        kernel: int | Kernel,
        stride: int = 1,
        padding: int | Kernel = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, H', W']`."""
        return functional.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Branches side by side, brought back to the input's width and added to it in part.

    Args:
        branches: Their outputs are laid one behind the other.
        inside: Channels of all of them together.
        width: Channels that come in and go out.
        scale: Weight of what is added.
        rectify: Whether a ReLU follows.
    """

    def __init__(
        self, branches: list[nn.Module], inside: int, width: int, scale: float, rectify: bool
    ) -> None:
        super().__init__()
        self._names = _adopt(self, branches)
        self.conv2d = nn.Conv2d(inside, width, 1)
        self.scale, self.rectify = scale, rectify

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to the same shape."""
        inside = torch.cat([self.get_submodule(name)(x) for name in self._names], dim=1)
        y: Tensor = x + self.scale * self.conv2d(inside)
        return functional.relu(y) if self.rectify else y


class Reduction(nn.Module):
    """Branches with a stride of 2 side by side, the last of them a maximum over 3x3."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self._names = _adopt(self, branches)

    def forward(self, x: Tensor) -> Tensor:
        """Half of height and width, rounded down, and more channels."""
        convolved = [self.get_submodule(name)(x) for name in self._names]
        return torch.cat([*convolved, functional.max_pool2d(x, 3, stride=2)], dim=1)


def block35(scale: float) -> Residual:
    """The residual block at 1/8 of the size (17 x 17; 35 x 35 in the article)."""
    branches = [
        Conv(256, 32, 1),
        _chain([256, 32, 32], [1, 3]),
        _chain([256, 32, 32, 32], [1, 3, 3]),
    ]
    return Residual(branches, 96, 256, scale, rectify=True)


def block17(scale: float) -> Residual:
    """The residual block at 1/16 of the size (8 x 8), with 7x7 kernels in two steps."""
    branches = [Conv(896, 128, 1), _chain([896, 128, 128, 128], [1, (1, 7), (7, 1)])]
    return Residual(branches, 256, 896, scale, rectify=True)


def block8(scale: float, rectify: bool = True) -> Residual:
    """The residual block at 1/32 of the size (3 x 3), with 3x3 kernels in two steps."""
    branches = [Conv(1792, 192, 1), _chain([1792, 192, 192, 192], [1, (1, 3), (3, 1)])]
    return Residual(branches, 384, 1792, scale, rectify)


def _chain(widths: list[int], kernels: list[int | Kernel], *more: nn.Module) -> nn.Sequential:
    """Convolutions from one width to the next that keep the size, and what follows them."""
    steps = zip(pairwise(widths), kernels, strict=True)
    return nn.Sequential(*(_same(a, b, kernel) for (a, b), kernel in steps), *more)


def _same(width: int, channels: int, kernel: int | Kernel) -> Conv:
    down, across = (kernel, kernel) if isinstance(kernel, int) else kernel
    return Conv(width, channels, kernel, padding=(down // 2, across // 2))


def _adopt(parent: nn.Module, branches: list[nn.Module]) -> list[str]:
    """Register branches under the names that the published keys have: `branch0`, `branch1` ..."""
    names = [f"branch{index}" for index in range(len(branches))]
    for name, branch in zip(names, branches, strict=True):
        parent.add_module(name, branch)
    return names
