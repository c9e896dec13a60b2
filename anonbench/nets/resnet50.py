"""The trunk of ResNet-50 under torchvision's keys, without the classifier.

"Deep Residual Learning for Image Recognition" (He et al., 2016), with the stride in the 3x3
convolution of a unit, as torchvision has it. Several published face models stand on this trunk.
"""

from torch import Tensor, nn
from torch.nn import functional

DIM = 2048
# Bottleneck units of the four levels.
UNITS = (3, 4, 6, 3)


class ResNet50(nn.Module):
    """Turns images of any size into maps of 2048 features at 1/32 of their size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _level(64, 64, UNITS[0], stride=1)
        self.layer2 = _level(256, 128, UNITS[1], stride=2)
        self.layer3 = _level(512, 256, UNITS[2], stride=2)
        self.layer4 = _level(1024, 512, UNITS[3], stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 3, H, W]` to `[B, 2048, H/32, W/32]`."""
        x = functional.relu(self.bn1(self.conv1(x)))  # [B, 64, H/2, W/2]
        x = functional.max_pool2d(x, 3, stride=2, padding=1)  # [B, 64, H/4, W/4]
        x = self.layer1(x)  # [B, 256, H/4, W/4]
        x = self.layer2(x)  # [B, 512, H/8, W/8]
        x = self.layer3(x)  # [B, 1024, H/16, W/16]
        maps: Tensor = self.layer4(x)
        return maps


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut; four times `channels` come out."""

    def __init__(self, width: int, channels: int, stride: int) -> None:
        super().__init__()
        out = 4 * channels
        self.conv1 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Module = nn.Identity()
        if width != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(width, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, 4 channels, H/stride, W/stride]`."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + self.downsample(x))


def _level(width: int, channels: int, count: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(4 * channels, channels, 1) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(width, channels, stride), *rest)
