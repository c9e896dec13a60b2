"""The encoder of e4e: images to W+ codes of StyleGAN2.

"Designing an Encoder for StyleGAN Image Manipulation" (Tov et al., 2021) on the feature pyramid of
"Encoding in Style" (pSp; Richardson et al., 2021). Keys: those of omertov/encoder4editing's files
with the prefix `encoder.`; RiDDLE's `e4e_ffhq_encode_256.pt` has 14 codes, for 256 pixels, while
the public FFHQ model of 1024 pixels has 18.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from anonbench.errors import BadData
from anonbench.nets.ir_se50 import LEVELS, Levels, body, input_layer
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Decoder, EqualLinear

DIM = 512
LATENTS = 14
"""Codes for StyleGAN2 of 256 pixels."""
CONSTANT = "decoder.input.input"
"""Key of the constant input of the generator that a file of the pSp framework has beside."""
# Above it, the cosine of constants is that of one training, tuned further perhaps; two trainings
# begin with unrelated ones.
_SAME = 0.5
_PUBLISHED = {
    14: "RiDDLE's e4e_ffhq_encode_256.pt",
    18: "the public e4e_ffhq_encode.pt (omertov/encoder4editing)",
}
"""Official files by their number of codes."""
# Codes that come from the maps of 16 x 16 and of 32 x 32; the others come from 64 x 64.
_COARSE_CODES, _MIDDLE_CODES = 3, 4


class E4e(nn.Module):
    """Inverts StyleGAN2: the W+ codes by which it would draw an image.

    Args:
        latents: Number of codes.
        levels: Of the trunk. The pyramid and the heads are as wide as the last one.
    """

    def __init__(self, latents: int = LATENTS, levels: Levels = LEVELS) -> None:
        super().__init__()
        (start, first), (fine, second), (middle, third), (width, _) = levels
        # Up to which unit the maps have 64 x 64 and 32 x 32 places; then they have 16 x 16.
        self._fine, self._middle = first + second, first + second + third
        self.input_layer = input_layer(start)
        self.body = body(levels)
        sides = [16] * _COARSE_CODES + [32] * _MIDDLE_CODES
        sides += [64] * (latents - len(sides))
        self.styles = nn.ModuleList(StyleHead(side, width) for side in sides)
        self.latlayer1 = nn.Conv2d(middle, width, 1)
        self.latlayer2 = nn.Conv2d(fine, width, 1)

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
        fine = self.body[: self._fine](self.input_layer(x))  # [B, 128, 64, 64]
        middle = self.body[self._fine : self._middle](fine)  # [B, 256, 32, 32]
        coarse = self.body[self._middle :](middle)  # [B, 512, 16, 16]
        middle = _doubled(coarse) + self.latlayer1(middle)
        return coarse, middle, _doubled(middle) + self.latlayer2(fine)


class StyleHead(nn.Module):
    """Convolutions that halve maps down to one place, and a linear layer.

    Args:
        side: Height and width of the maps, a power of two.
        width: Their channels.
    """

    def __init__(self, side: int, width: int = DIM) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(side.bit_length() - 1):
            layers += [nn.Conv2d(width, width, 3, stride=2, padding=1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, DIM)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, width, side, side]` to `[B, 512]`."""
        code: Tensor = self.linear(self.convs(x).flatten(1))
        return code


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class Inverter(nn.Module):
    """The encoder with the mean code that its files hold beside: images to W+ codes.

    Keys: `encoder.*` and `latent_avg`, as in the official files.

    Args:
        latents: Number of codes.
        levels: Of the encoder's trunk.

    Attributes:
        constant: The constant input of the StyleGAN2 that it learned to invert, by which that one
            is known again; None where its file does not say.
    """

    latent_avg: Tensor
    constant: Tensor | None = None

    def __init__(self, latents: int = LATENTS, levels: Levels = LEVELS) -> None:
        super().__init__()
        self.encoder = E4e(latents, levels)
        self.register_buffer("latent_avg", torch.zeros(latents, DIM))

    @classmethod
    def of_state(
        cls,
        state: Mapping[str, Tensor],
        source: str,
        latents: int = LATENTS,
        levels: Levels = LEVELS,
    ) -> Self:
        """A trained inverter, ready for inference, whose weights are the given tensors themselves.

        Args:
            state: Its state dict; of that of a generator under `decoder.*`, the constant is read.
            source: How a message names the state dict.
            latents: Number of codes wanted.
            levels: Of the encoder's trunk.

        Raises:
            BadData: It is for another StyleGAN2, or keys or shapes differ; the message says so.
        """
        _require_latents(state, source, latents)
        with torch.device("meta"):
            net = cls(latents, levels)
        load_state(net, state, source=source, unused=["decoder.*"], assign=True)
        net.constant = state.get(CONSTANT)
        return net.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: Path, latents: int = LATENTS, levels: Levels = LEVELS) -> Self:
        """The same from a safetensors file, as `anonbench.weights.e4e` writes it.

        Raises:
            BadData: As above.
        """
        return cls.of_state(load_file(path), str(path), latents, levels)

    @classmethod
    def blank(cls, latents: int = LATENTS) -> Self:
        """One whose weights are all zero, to be counted and timed: built without drawing them."""
        with torch.device("meta"):
            net = cls(latents)
        zeros = {key: torch.zeros(value.shape) for key, value in net.state_dict().items()}
        load_state(net, zeros, assign=True)
        return net.eval().requires_grad_(False)

    def require_generator(self, generator: Decoder) -> None:
        """Make sure that it learned to invert this StyleGAN2, where its file says which.

        Raises:
            BadData: It was another one.
        """
        if self.constant is None:
            return
        own = generator.input.input.detach().flatten().cpu()
        given = self.constant.flatten()
        same = given.shape == own.shape
        if not same or functional.cosine_similarity(given, own, dim=0) < _SAME:
            raise BadData(
                "The file of e4e and that of StyleGAN2 do not belong together.",
                why="The encoder learned to invert another StyleGAN2, to which its codes mean "
                "something else.",
                mend="Import both from the same authors.",
            )

    def forward(self, images: Tensor) -> Tensor:
        """W+ codes `[B, latents, 512]` of FFHQ-aligned RGB `[B, 3, 256, 256]` in `[0, 1]`."""
        codes: Tensor = self.encoder(images) + self.latent_avg
        return codes


def _require_latents(state: Mapping[str, Tensor], source: str, wanted: int) -> None:
    """Make sure that codes are as many as wanted, as far as the state dict has any."""
    heads = {key.split(".")[2] for key in state if key.startswith("encoder.styles.")}
    counts = len(heads), len(state.get("latent_avg", ()))
    other = next((count for count in counts if count not in (0, wanted)), wanted)
    if other != wanted:
        raise BadData(
            f"{source} is for StyleGAN2 of {_side(other)} pixels: it has {other} x {DIM} codes, "
            f"not the {wanted} x {DIM} of {_side(wanted)} pixels.",
            why="Codes of one StyleGAN2 mean nothing to another.",
            mend=f"Give {_PUBLISHED[wanted]}." if wanted in _PUBLISHED else "",
        )


def _side(latents: int) -> int:
    """Pixels of the StyleGAN2 that takes so many codes: two for each doubling from 4 on."""
    return 1 << (latents // 2 + 1)
