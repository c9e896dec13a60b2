"""The encoder of e4e: images to W+ codes of StyleGAN2.

"Designing an Encoder for StyleGAN Image Manipulation" (Tov et al., 2021) on the feature pyramid of
"Encoding in Style" (pSp; Richardson et al., 2021). Keys: those of omertov/encoder4editing's files
with the prefix `encoder.`; RiDDLE's `e4e_ffhq_encode_256.pt` has 14 codes, for 256 pixels, while
the public FFHQ model of 1024 pixels has 18.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.nets.ir_se50 import body, input_layer
from anonbench.nets.stylegan2 import EqualLinear

DIM = 512
LATENTS = 14
"""Codes for StyleGAN2 of 256 pixels."""
# Up to which unit of the trunk the maps have 64 x 64 and 32 x 32 places; then they have 16 x 16.
_FINE, _MIDDLE = 7, 21
# Codes that come from the maps of 16 x 16 and of 32 x 32; the others come from 64 x 64.
_COARSE_CODES, _MIDDLE_CODES = 3, 4


class E4e(nn.Module):
    """Inverts StyleGAN2: the W+ codes by which it would draw an image.

    Args:
        latents: Number of codes.
    """

    def __init__(self, latents: int = LATENTS) -> None:
        super().__init__()
        self.input_layer = input_layer()
        self.body = body()
        sides = [16] * _COARSE_CODES + [32] * _MIDDLE_CODES
        sides += [64] * (latents - len(sides))
        self.styles = nn.ModuleList(StyleHead(side) for side in sides)
        self.latlayer1 = nn.Conv2d(256, DIM, 1)
        self.latlayer2 = nn.Conv2d(128, DIM, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Codes of images, relative to the mean code, which the official files hold beside.

        Args:
            images: FFHQ-aligned RGB `[B, 3, 256, 256]` in `[0, 1]`.

        Returns:
            `[B, latents, 512]`; the file's `latent_avg` is to be added.
        """
        coarse, middle, fine = self._pyramid((images - 0.5) / 0.5)
        middle_from, fine_from = _COARSE_CODES, _COARSE_CODES + _MIDDLE_CODES
        heads = list(self.styles)
        codes = [head(coarse) for head in heads[:middle_from]]
        codes += [head(middle) for head in heads[middle_from:fine_from]]
        codes += [head(fine) for head in heads[fine_from:]]
        first, *offsets = codes  # one code for all layers, and how each but the first deviates
        return torch.stack([first, *(first + offset for offset in offsets)], dim=1)

    def _pyramid(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps `[B, 512, N, N]` of 16, 32 and 64 places a side; the coarse ones add to the fine."""
        fine = self.body[:_FINE](self.input_layer(x))  # [B, 128, 64, 64]
        middle = self.body[_FINE:_MIDDLE](fine)  # [B, 256, 32, 32]
        coarse = self.body[_MIDDLE:](middle)  # [B, 512, 16, 16]
        middle = _doubled(coarse) + self.latlayer1(middle)
        return coarse, middle, _doubled(middle) + self.latlayer2(fine)


class StyleHead(nn.Module):
    """Convolutions that halve maps down to one place, and a linear layer.

    Args:
        side: Height and width of the maps, a power of two.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(side.bit_length() - 1):
            layers += [nn.Conv2d(DIM, DIM, 3, stride=2, padding=1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(DIM, DIM)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, 512, side, side]` to `[B, 512]`."""
        code: Tensor = self.linear(self.convs(x).flatten(1))
        return code


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
