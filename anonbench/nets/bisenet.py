"""BiSeNet that parses faces, under the keys of zllrunning's `79999_iter.pth`.

"BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation" (Yu et al., 2018).
Layout and details: zllrunning/face-parsing.PyTorch, which gives the fine maps of its ResNet-18 to
the fusion in place of the article's spatial path. Its two coarser outputs, which only help to train
it, are left out.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = (
    *("background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses"),
    *("left ear", "right ear", "earring", "nose", "mouth", "upper lip", "lower lip"),
    *("neck", "necklace", "clothes", "hair", "hat"),
)
"""What each output stands for, in their order: the parts of CelebAMask-HQ."""
UNUSED = ("conv_out16.*", "conv_out32.*")
"""Keys of the two coarser outputs."""
SIZE = 512
"""Height and width of the images that it was trained on."""

_WIDTH, _CONTEXT = 256, 128
# ImageNet's mean and standard deviation.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BiSeNet(nn.Module):
    """Says of every pixel which part of a face it belongs to."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.cp = _ContextPath()
        self.ffm = _FeatureFusion()
        self.conv_out = _Output()
        for name, values in (("mean", _MEAN), ("std", _STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 19, H, W]` of RGB images `[B, 3, H, W]` in `[0, 1]`, best of 512 pixels.

        Height and width are multiples of 32.
        """
        fine, context = self.cp((images - self.mean) / self.std)
        logits = self.conv_out(self.ffm(fine, context))  # [B, 19, H/8, W/8]
        size = images.shape[2:]
        return functional.interpolate(logits, size, mode="bilinear", align_corners=True)


class ResNet18(nn.Module):
    """ResNet-18 without its classifier, under torchvision's keys."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _level(64, 64, stride=1)
        self.layer2 = _level(64, 128, stride=2)
        self.layer3 = _level(128, 256, stride=2)
        self.layer4 = _level(256, 512, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps of 128, 256 and 512 channels at 1/8, 1/16 and 1/32 of the size of `[B, 3, H, W]`."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer1(functional.max_pool2d(x, 3, stride=2, padding=1))
        fine = self.layer2(x)
        middle = self.layer3(fine)
        return fine, middle, self.layer4(middle)


def _level(width: int, channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(_BasicBlock(width, channels, stride), _BasicBlock(channels, channels, 1))


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions, the first with the stride, beside a shortcut."""

    def __init__(self, width: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(width, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, H / stride, W / stride]`."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class _Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU; the size stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, H, W]` to `[B, outputs, H, W]`."""
        return functional.relu(self.bn(self.conv(x)))


class _AttentionRefinement(nn.Module):
    """A convolution whose channels are scaled by factors that their means determine."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv = _Convolution(inputs, _CONTEXT, 3)
        self.conv_atten = nn.Conv2d(_CONTEXT, _CONTEXT, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(_CONTEXT)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, H, W]` to `[B, 128, H, W]`."""
        maps: Tensor = self.conv(x)
        factors = self.bn_atten(self.conv_atten(maps.mean(dim=(2, 3), keepdim=True)))
        return maps * torch.sigmoid(factors)


class _ContextPath(nn.Module):
    """The trunk, with what its coarse maps say brought down to the fine ones."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet18()
        self.arm16 = _AttentionRefinement(256)
        self.arm32 = _AttentionRefinement(512)
        self.conv_head32 = _Convolution(_CONTEXT, _CONTEXT, 3)
        self.conv_head16 = _Convolution(_CONTEXT, _CONTEXT, 3)
        self.conv_avg = _Convolution(512, _CONTEXT, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Fine maps and context, both `[B, 128, H/8, W/8]`, of `[B, 3, H, W]`."""
        fine, middle, coarse = self.resnet(x)
        overall = self.conv_avg(coarse.mean(dim=(2, 3), keepdim=True))
        context = self.conv_head32(_doubled(self.arm32(coarse) + overall))
        return fine, self.conv_head16(_doubled(self.arm16(middle) + context))


class _FeatureFusion(nn.Module):
    """Joins fine maps and context; attention says which channels count up to twice."""

    def __init__(self) -> None:
        super().__init__()
        self.convblk = _Convolution(2 * _CONTEXT, _WIDTH, 1)
        self.conv1 = nn.Conv2d(_WIDTH, _WIDTH // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(_WIDTH // 4, _WIDTH, 1, bias=False)

    def forward(self, fine: Tensor, context: Tensor) -> Tensor:
        """Two of `[B, 128, H, W]` to `[B, 256, H, W]`."""
        maps: Tensor = self.convblk(torch.cat([fine, context], dim=1))
        factors = self.conv2(functional.relu(self.conv1(maps.mean(dim=(2, 3), keepdim=True))))
        return maps * (1 + torch.sigmoid(factors))


class _Output(nn.Module):
    """Logits of all classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _Convolution(_WIDTH, _WIDTH, 3)
        self.conv_out = nn.Conv2d(_WIDTH, len(CLASSES), 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 256, H, W]` to `[B, 19, H, W]`."""
        logits: Tensor = self.conv_out(self.conv(x))
        return logits


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")
