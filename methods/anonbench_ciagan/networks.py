"""The generator of CIAGAN.

"CIAGAN: Conditional Identity Anonymization Generative Adversarial Networks" (Maximov et al., CVPR
2020). Layout: the checkpoint `modelG.pth` of dvl-tum/ciagan, and what the parity fixtures say of
it; the places of the activations follow from the fixtures' intermediate values.
"""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import spectral_norm

IDENTITIES = 1200
"""People among whom the published weights choose."""
# Channels of the feature maps, from 128 x 128 to 4 x 4 and back.
_DOWN = (6, 32, 64, 128, 256, 256)
_UP = (256, 256, 128, 64, 32, 16)
_DEEPEST = 256
_LEVELS = 5
_RESIDUAL_BLOCKS = 4
# Widths of the layers that turn an identity into a vector, and that into maps of 4 x 4.
_VECTOR = (256, 256, 256, 256, 512, 512, 512)
_MAPS = (32, 64, 128, 256)
_SIDE = 4
_SLOPE = 0.2


def composite(generated: Tensor, faces: Tensor, mask: Tensor) -> Tensor:
    """Images `[B, 3, H, W]` in `[0, 1]`: the generated face within a mask, the original around it.

    Args:
        generated: `[B, 3, H, W]`, as the generator gives it.
        faces: The originals `[B, 3, H, W]` in `[0, 1]`.
        mask: 1 where the face is to be replaced, 0 elsewhere; `[B, 1, H, W]` or `[H, W]`.
    """
    return (generated * mask + faces * (1 - mask)).clamp(0, 1)


class Generator(nn.Module):
    """Draws faces from their landmarks and their surroundings, with the looks of an identity.

    Convolutions are divided by an estimate of their spectral norm. In training mode every pass
    refines the estimate first, also in the authors' test script, which never calls `eval()`: its
    first pass gives what evaluation mode gives from then on.

    Args:
        identities: Number of people to choose from.
    """

    def __init__(self, identities: int = IDENTITIES) -> None:
        super().__init__()
        for level, (width, channels) in enumerate(pairwise(_DOWN)):
            self.add_module(f"conv{level}", DownBlock(width, channels, rectify=level > 0))
            self.add_module(f"in{level}_e", _norm(channels))
        self.embed = nn.Sequential(Conv(_DEEPEST + _MAPS[-1], _DEEPEST, 3), _norm(_DEEPEST))
        for number in range(1, _RESIDUAL_BLOCKS + 1):
            self.add_module(f"res{number}", ResidualBlock(_DEEPEST))
        for level, (width, channels) in zip(_rising(), pairwise(_UP), strict=True):
            self.add_module(f"deconv{level}", UpBlock(width, channels))
            self.add_module(f"in{level}_d", _norm(channels))
        self.conv_end = nn.Sequential(nn.Conv2d(_UP[-1], 3, 3, padding=1))
        self.encode_one_hot = nn.Sequential(*_perceptron([identities, *_VECTOR]))
        self.encode_noise = nn.Sequential(*_convolutions(_MAPS))

    def forward(self, landmarks: Tensor, surroundings: Tensor, identity: Tensor | None) -> Tensor:
        """Draw faces.

        Args:
            landmarks: Drawings of the landmarks `[B, 3, 128, 128]` in `[0, 1]`, red lines on white.
            surroundings: Images `[B, 3, 128, 128]` in `[0, 1]`, RGB, black where the face was.
            identity: One-hot `[B, identities]`, float; None for the net without identities, which
                takes other multiples of 32 pixels, too.

        Returns:
            `[B, 3, 128, 128]`, nominally in `[0, 1]`, not clipped; see `composite`.
        """
        x = torch.cat([landmarks, surroundings], dim=1)
        for level in range(_LEVELS):  # to [B, 256, 4, 4]
            x = self._apply_named(x, f"conv{level}", f"in{level}_e")
        if identity is not None:
            vectors = self.encode_one_hot(identity)  # [B, 512]
            maps = self.encode_noise(vectors.view(-1, _MAPS[0], _SIDE, _SIDE))  # [B, 256, 4, 4]
            x = self.embed(torch.cat([x, maps], dim=1))
        x = self._apply_named(x, *(f"res{number}" for number in range(1, _RESIDUAL_BLOCKS + 1)))
        for level in _rising():  # to [B, 16, 128, 128]
            x = self._apply_named(x, f"deconv{level}", f"in{level}_d")
        images: Tensor = self.conv_end(x)
        return images

    def _apply_named(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self.get_submodule(name)(x)
        return x


class Conv(nn.Module):
    """Convolution with a spectral norm of one that keeps the size, by reflection at the borders."""

    def __init__(self, width: int, channels: int, kernel: int) -> None:
        super().__init__()
        conv = nn.Conv2d(width, channels, kernel, padding=kernel // 2, padding_mode="reflect")
        self.conv2d = spectral_norm(conv)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, H, W]`."""
        y: Tensor = self.conv2d(x)
        return y


class DownBlock(nn.Module):
    """Two convolutions beside one, at half the size.

    Args:
        width: Channels that come in.
        channels: Channels that go out.
        rectify: Whether a ReLU stands before the two.
    """

    def __init__(self, width: int, channels: int, *, rectify: bool) -> None:
        super().__init__()
        self.rectify = rectify
        self.conv_r1 = Conv(width, channels, 3)
        self.conv_r2 = Conv(channels, channels, 3)
        self.conv_l = Conv(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, H/2, W/2]`."""
        y = functional.relu(x) if self.rectify else x
        y = self.conv_r2(functional.relu(self.conv_r1(y)))
        return functional.avg_pool2d(y + self.conv_l(x), 2)


class ResidualBlock(nn.Module):
    """Two normalised convolutions, whose result is added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Conv(channels, channels, 3)
        self.in1 = _norm(channels)
        self.conv2 = Conv(channels, channels, 3)
        self.in2 = _norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to the same shape."""
        y = functional.relu(self.in1(self.conv1(x)))
        return torch.add(x, self.in2(self.conv2(y)))


class UpBlock(nn.Module):
    """Two normalised convolutions beside one, at twice the size."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm_r1 = _norm(width)
        self.conv_r1 = Conv(width, channels, 3)
        self.norm_r2 = _norm(channels)
        self.conv_r2 = Conv(channels, channels, 3)
        self.conv_l = Conv(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, H, W]` to `[B, channels, 2H, 2W]`."""
        y = self.conv_r1(_doubled(functional.relu(self.norm_r1(x))))
        y = self.conv_r2(functional.relu(self.norm_r2(y)))
        return torch.add(y, self.conv_l(_doubled(x)))


def _rising() -> range:
    """The levels from the smallest maps to the largest."""
    return range(_LEVELS - 1, -1, -1)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=True)


def _perceptron(widths: Iterable[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width, wider in pairwise(widths):
        layers += [nn.Linear(width, wider), nn.LeakyReLU(_SLOPE)]
    return layers


def _convolutions(widths: Iterable[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width, wider in pairwise(widths):
        layers += [Conv(width, wider, 3), nn.LeakyReLU(_SLOPE), _norm(wider)]
    return layers
