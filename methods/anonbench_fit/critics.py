"""What trains FIT's generator beside recognisers: critics, and a password reader.

Gu et al. (2020), section 3. Sizes, initial weights and the pool of earlier images are those of the
authors' code (models/networks.py, utils/image_pool.py of laoreja/face-identity-transformer).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench_fit.networks import BITS

Kind = Literal["anonymized", "recovered", "wrongly"]
"""What an image is: anonymized, recovered, or recovered by a wrong password."""
KINDS: tuple[Kind, ...] = ("anonymized", "recovered", "wrongly")
LAYERS = 3
NIBBLE = 4
"""Bits of a password that are read as one number."""


class Critics(nn.Module):
    """Three patch critics of full-size images, one per kind, and one of half-size images for all.

    Args:
        width: Channels of the first layer.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.full = nn.ModuleDict({kind: _patch_critic(width) for kind in KINDS})
        self.shared = _patch_critic(width)

    def forward(self, images: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
        """How real patches of images `[B, 3, H, W]` in `[-1, 1]` look, at two sizes.

        Returns:
            `[B, 1, h, w]` each, not bounded; 1 stands for real.
        """
        smaller = functional.avg_pool2d(images, 3, 2, padding=1, count_include_pad=False)
        return self.full[kind](images), self.shared(smaller)


class PasswordReader(nn.Module):
    """Reads the password from an image before and after the generator (Q of Eq. 5).

    Args:
        width: Channels of the first layer.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        top = 2**LAYERS * width
        self.layers = nn.Sequential(
            *_front(6, width),  # [B, 4C, H/8, W/8]
            *_level(top // 2, top, stride=2),  # [B, 8C, H/16, W/16]
            nn.Conv2d(top, top, 4, 4, bias=False),
            _norm(top),
            nn.LeakyReLU(0.2, inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.heads = nn.ModuleList(nn.Linear(top, 2**NIBBLE) for _ in range(BITS // NIBBLE))

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Logits `[B, 4, 16]` of the four nibbles, the most significant first."""
        seen = self.layers(torch.cat([before, after], dim=1))
        return torch.stack([head(seen) for head in self.heads], dim=1)


class Pool(nn.Module):
    """Earlier images, of which critics are shown some in place of new ones.

    They are kept at 8 bits.

    Args:
        size: Most images kept; 0 for none.
        side: Of the images, in pixels.
    """

    images: Tensor
    count: Tensor

    def __init__(self, size: int, side: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, 3, side, side, dtype=torch.uint8))
        self.register_buffer("count", torch.tensor(0))

    def exchange(self, images: Tensor, number: int) -> Tensor:
        """Take images `[B, 3, S, S]` in `[-1, 1]`; give some of them and of earlier ones back.

        While the pool fills, images come back as they are. Then every second one, by chance, takes
        an earlier one's place and comes back as that one.

        Args:
            images: New images.
            number: How many of the B come back, by chance.
        """
        shown = images.detach().clone()
        for place, image in enumerate(shown if len(self.images) else ()):
            kept = ((image + 1) * 127.5).round().clamp(0, 255).byte()
            if int(self.count) < len(self.images):
                self.images[int(self.count)] = kept
                self.count += 1
            elif torch.rand(()) > 0.5:
                other = int(torch.randint(len(self.images), ()))
                shown[place] = self.images[other].to(images.dtype) / 127.5 - 1
                self.images[other] = kept
        return shown[torch.randperm(len(shown))[:number].sort().values.to(shown.device)]


def initialize(module: nn.Module) -> None:
    """Initial weights of the authors' networks, generator included: N(0, 0.02) about 0 or 1."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.normal_(part.weight, 0.0, 0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)


def _patch_critic(width: int) -> nn.Sequential:
    top = 2**LAYERS * width
    return nn.Sequential(
        *_front(3, width),
        *_level(top // 2, top, stride=1),
        nn.Conv2d(top, 1, 4, padding=1, bias=False),
    )


def _front(channels: int, width: int) -> list[nn.Module]:
    """`[B, channels, H, W]` to `[B, 4 width, H/8, W/8]`."""
    first = nn.Conv2d(channels, width, 4, 2, padding=1)
    levels = (_level(2**n * width, 2 ** (n + 1) * width, stride=2) for n in range(LAYERS - 1))
    return [first, nn.LeakyReLU(0.2, inplace=True), *(layer for level in levels for layer in level)]


def _level(channels: int, width: int, *, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, 4, stride, padding=1, bias=False)
    return [convolution, _norm(width), nn.LeakyReLU(0.2, inplace=True)]


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, track_running_stats=False)
