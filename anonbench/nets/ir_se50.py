"""IR-SE50, the recogniser that StyleGAN's inversions are trained with, under its published keys.

The improved residual units of "Additive Angular Margin Loss for Deep Face Recognition" (Deng et
al., 2019) with the channel attention of "Squeeze-and-Excitation Networks" (Hu et al., 2018).
Layout: `model_ir_se50.pth` of TreB1eN/InsightFace_Pytorch, which pSp, e4e, RiDDLE and FALCO use,
and what the parity fixtures say of it. The encoder of e4e (`anonbench.nets.e4e`) has the same
trunk.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 112
DIM = 512
Levels = tuple[tuple[int, int], ...]
"""Channels and residual units of four levels."""
LEVELS: Levels = ((64, 3), (128, 4), (256, 14), (512, 3))
_REDUCTION = 16
# Rows and columns of an aligned 256-pixel FFHQ crop that the inversions show to this network.
_ROWS, _COLUMNS = slice(35, 223), slice(32, 220)


class IrSe50(nn.Module):
    """Embeds aligned face crops."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layer = input_layer()
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(0.6),
            nn.Flatten(),
            nn.Linear(512 * (SIZE // 16) ** 2, DIM),
            nn.BatchNorm1d(DIM),
        )
        self.body = body()

    def forward(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]` of length 1 of RGB crops `[B, 3, 112, 112]` in `[0, 1]`."""
        x = self.body(self.input_layer((crops - 0.5) / 0.5))  # [B, 512, 7, 7]
        return functional.normalize(self.output_layer(x))


def face_region(images: Tensor) -> Tensor:
    """The face in FFHQ-aligned images `[B, 3, 256, 256]`, as the inversions' identity losses crop.

    Returns:
        `[B, 3, 112, 112]`, by means over areas.
    """
    return functional.adaptive_avg_pool2d(images[:, :, _ROWS, _COLUMNS], SIZE)


def input_layer(width: int = LEVELS[0][0]) -> nn.Sequential:
    """The first layer, `[B, 3, H, W]` to `[B, width, H, W]`."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
    )


def body(levels: Levels = LEVELS) -> nn.Sequential:
    """The 24 units, `[B, 64, H, W]` to `[B, 512, H/16, W/16]`; the first of a level halves."""
    units, width = [], levels[0][0]
    for channels, count in levels:
        units += [Unit(width, channels, 2)]
        units += [Unit(channels, channels, 1) for _ in range(count - 1)]
        width = channels
    return nn.Sequential(*units)


class Unit(nn.Module):
    """Two 3x3 convolutions, the second with the stride, and attention, beside a shortcut."""

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
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            SqueezeExcitation(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, H / stride, W / stride]`."""
        return torch.add(self.res_layer(x), self.shortcut_layer(x))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a factor from 0 to 1, which the means of all channels determine."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // _REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // _REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to the same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(functional.relu(self.fc1(means))))
