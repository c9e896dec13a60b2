"""The generator of FIT and the codes of its passwords.

"Password-conditioned Anonymization and Deanonymization with Face Identity Transformers" (Gu et
al., ECCV 2020). The generator is the residual one of CycleGAN (Zhu et al., 2017) with the password
as additional input channels. Keys: entry `state_dict_G` of the checkpoints of
laoreja/face-identity-transformer. Its recogniser is `anonbench.nets.sphereface`.
"""

from collections.abc import Mapping
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn

from anonbench.errors import BadConfig, BadData

BITS = 16
"""Length of a password."""
Scheme = Literal["half", "one_fourth"]
"""How strongly a checkpoint was trained to see the password."""
_AMPLITUDES: dict[Scheme, float] = {"half": 0.5, "one_fourth": 0.25}
WIDTH, BLOCKS = 64, 9
"""Channels of the first layer, and residual blocks, of the authors' generator."""


def password_bits(passwords: Tensor) -> Tensor:
    """The bits `[B, 16]` (bool, the most significant first) of passwords.

    Args:
        passwords: Integers `[B]` from 0 to 65535.

    Raises:
        BadData: A password is out of that range.
    """
    if ((passwords < 0) | (passwords >= 2**BITS)).any():
        raise BadData(f"A password of FIT has {BITS} bits: it is from 0 to {2**BITS - 1}.")
    places = torch.arange(BITS - 1, -1, -1, device=passwords.device)
    return (passwords[:, None] >> places & 1).bool()


def password_code(bits: Tensor, scheme: Scheme = "half") -> Tensor:
    """What the generator sees of a password `[B, 16]`: ±0.5, or ±0.25 with `one_fourth`.

    The code that recovers is that of the inverted bits, `password_code(~bits)`.

    Args:
        bits: Bool `[B, 16]`.
        scheme: The one that the checkpoint was trained with.

    Raises:
        BadConfig: There is no such scheme.
    """
    if scheme not in _AMPLITUDES:
        raise BadConfig(
            f"FIT has no password scheme '{scheme}'.", why=f"They are {get_args(Scheme)}."
        )
    return (bits.float() * 2 - 1) * _AMPLITUDES[scheme]


_FIRST = "model.1.weight"


class Generator(nn.Module):
    """Anonymizes under a password, recovers under the inverted one.

    Its batch normalisations keep no statistics: in training and evaluation alike they normalise by
    the mean and variance of the batch at hand. So the other images of a batch have a part in each
    image's result, and an image recovers as its authors' does only in the batch that it was
    anonymized in.

    Args:
        width: Channels of the first layer, called C below.
        blocks: Residual blocks.
    """

    def __init__(self, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.model = nn.Sequential(
            *_convolution(3 + BITS, width, 7, bias=False),  # [B, C, H, W]
            *_convolution(width, 2 * width, 3, stride=2, bias=False),  # [B, 2C, H/2, W/2]
            *_convolution(2 * width, 4 * width, 3, stride=2, bias=False),  # [B, 4C, H/4, W/4]
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            nn.Upsample(scale_factor=2),
            *_convolution(4 * width, 2 * width, 3),  # [B, 2C, H/2, W/2]
            nn.Upsample(scale_factor=2),
            *_convolution(2 * width, width, 3),  # [B, C, H, W]
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 3, 7),  # [B, 3, H, W]
            nn.Tanh(),
        )

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor]) -> Self:
        """A generator, on the meta device, of the size that a state dict is of.

        Raises:
            BadData: It is no generator's.
        """
        if _FIRST not in state:
            raise BadData(f"This is no generator of FIT: it has no '{_FIRST}'.")
        blocks = {key.split(".")[1] for key in state if ".conv_block." in key}
        with torch.device("meta"):
            return cls(len(state[_FIRST]), len(blocks))

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Images `[B, 3, H, W]` in `[-1, 1]` under a password.

        Args:
            images: A whole batch `[B, 3, H, W]` in `[-1, 1]`, RGB; H and W are multiples of 4, and
                128 in training.
            code: `[B, 16]` of `password_code`.
        """
        tiled = code[:, :, None, None].expand(-1, -1, *images.shape[2:])
        changed: Tensor = self.model(torch.cat([images, tiled], dim=1))
        return changed


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, whose result is added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            *_convolution(channels, channels, 3, bias=False),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            _norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to the same shape."""
        return torch.add(x, self.conv_block(x))


def _convolution(
    width: int, channels: int, kernel: int, *, stride: int = 1, bias: bool = True
) -> list[nn.Module]:
    """Four layers, as the keys count them: padding, convolution, normalisation, ReLU."""
    return [
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(width, channels, kernel, stride, bias=bias),
        _norm(channels),
        nn.ReLU(inplace=True),
    ]


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, track_running_stats=False)
