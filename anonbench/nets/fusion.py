"""What G²Face and methods derived from it put around a StyleGAN2 decoder.

A face encoder gives features of the original image at every resolution of the decoder. At each,
an identity-aware fusion block (IFF) predicts a mask and blends them with the generated features;
at middle resolutions it also adds a password, the bits of an identity embedding. An extractor
reads the bits back from the finished image.

Source: Yang et al., "G²Face: High-Fidelity Reversible Face Anonymization via Generative and
Geometric Priors" (2024), section III; keys and shapes are those of its authors' checkpoint
(`anonymous_net`, `style_mlp`, `hiding_extractor` of G2Face.pth).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.errors import BadConfig
from anonbench.nets.float_bits import WIDTH
from anonbench.nets.stylegan2 import (
    GAIN,
    SLOPE,
    Activation,
    Decoder,
    EqualConv,
    EqualLinear,
    Noise,
    NoiseStrength,
    Sizes,
    channels_last,
    pixel_norm,
)

# The password joins from 8x8 on: level 0 of the decoder is blended without it.
_FIRST_PASSWORD_LEVEL = 1
_EXTRACTOR_SLOPE = 0.1
_NORM_EPSILON = 1e-5
_SMALL_MAP = 32 * 32  # pixels, up to which PyTorch's group normalisation is slow

Extractor = Literal["plain", "branched"]
Editing = Literal["modulated", "adain"]


@dataclass(frozen=True)
class Architecture:
    """Sizes of all networks of a method, and how its masks work.

    Attributes:
        sizes: Of the decoder; the encoder has the same widths.
        identity: Floats of an identity embedding; the password holds their 32 bits each.
        geometry: Coefficients that join the identity (80 shape, 64 expression, 3 pose of BFM).
        rows: Layers of the decoder that each of the three style mappers steers, coarse to fine.
        mapper_rate: Learning rate of the style mappers relative to the other layers'.
        encoder_norm: Normalise the encoder's features per sample and channel, as the published
            network does, which loses the brightness of the image.
        mask_norm: Normalise the mask's logits per sample and channel (absent from the paper).
        mask_selects: What a mask of one lets through: the paper's Eq. 8 says `face`, the
            authors' code does `generated`.
        fusion: Blend in the features of the original face. Without (a row of the ablation in
            Table VI) there are neither face encoder nor masks; the password is still added, the
            last term of Eq. 8, as the paper reports recovery for those rows, too.
        extractor: The password extractor's layers: `branched` blocks between the first and the
            last, as in the authors' code, or `plain` convolutions.
        extractor_width: Its channels.
        editing: How a style acts behind the fusion: on the weights of StyleGAN2's convolution
            (`modulated`), or by AdaIN before a plain one, as Eq. 8 of DR-DPGAN has it.

    Raises:
        BadConfig: The password does not have one bit per 2x2 pixels, which is what the extractor
            reads, or the rows are not as many as the decoder's layers.
    """

    sizes: Sizes = field(default_factory=Sizes)
    identity: int = 512
    geometry: int = 147
    rows: tuple[int, int, int] = (6, 6, 2)
    mapper_rate: float = 0.01
    encoder_norm: bool = True
    mask_norm: bool = True
    mask_selects: Literal["generated", "face"] = "generated"
    fusion: bool = True
    extractor: Extractor = "branched"
    extractor_width: int = 128
    editing: Editing = "modulated"

    def __post_init__(self) -> None:
        image, latents = self.sizes.image, self.sizes.latents
        if self.bits != (image // 2) ** 2:
            raise BadConfig(
                f"An identity of {self.identity} floats has {self.bits} bits, "
                f"a {image}-pixel image holds {(image // 2) ** 2}.",
                mend=f"Use an identity of {(image // 2) ** 2 // WIDTH} floats at this size.",
            )
        if sum(self.rows) != latents:
            raise BadConfig(f"The rows {self.rows} do not add up to the {latents} of the decoder.")

    @property
    def bits(self) -> int:
        """Length of the password."""
        return self.identity * WIDTH

    @property
    def password_levels(self) -> range:
        """Levels of the decoder (0 is 4x4) with room for no more than all bits, from 8x8 on."""
        holding = sum(resolution**2 <= self.bits for resolution in self.sizes.resolutions)
        return range(_FIRST_PASSWORD_LEVEL, holding)


def _normalised(x: Tensor, gain: float = 1.0) -> Tensor:
    """Instance normalisation: maps `[B, C, H, W]` of mean 0 and standard deviation `gain`.

    It may overwrite its input. Large maps below float32 take PyTorch's group normalisation, with
    groups of one channel (and sums in float32), the form that is fast for channels_last. In
    float32 the variance comes from the centred maps: that operator's difference of two long sums
    was seen to be off by 1e-4 where a channel's mean is a few times its deviation.
    """
    channels, pixels = x.shape[1], x.shape[2] * x.shape[3]
    if x.dtype != torch.float32 and pixels > _SMALL_MAP:
        return functional.group_norm(x, channels, weight=x.new_full((channels,), gain))
    wide = x.float()
    centred = wide.sub_(wide.mean(dim=(2, 3), keepdim=True))
    variance = centred.square().mean(dim=(2, 3), keepdim=True)
    return (centred * (torch.rsqrt(variance + _NORM_EPSILON) * gain)).to(x.dtype)


class _NormConv(nn.Module):
    """Convolution, on request with instance normalisation and a leaky ReLU.

    Without the normalisation the initial weights keep the variance instead.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        down: bool,
        norm: bool,
        activate: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        kernel, stride = (4, 2) if down else (3, 1)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=1)
        self.norm, self.activate, self.gain = norm, activate, gain
        if not norm:
            nn.init.kaiming_normal_(self.conv.weight, SLOPE if activate else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = _normalised(y, self.gain) if self.norm else y * self.gain
        return functional.leaky_relu_(y, SLOPE) if self.activate else y


class _EncoderLevel(nn.Module):
    """Two convolutions beside one; their sum over √2, which the normalisations take along."""

    def __init__(self, inputs: int, outputs: int, *, down: bool, norm: bool) -> None:
        super().__init__()
        self.conv1 = _NormConv(inputs, inputs, down=False, norm=norm)
        self.conv2 = _NormConv(inputs, outputs, down=down, norm=norm, gain=1 / GAIN)
        self.skip = _NormConv(inputs, outputs, down=down, norm=norm, gain=1 / GAIN, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        skip: Tensor = self.skip(x)
        return skip.add_(self.conv2(self.conv1(x)))


class FaceEncoder(nn.ModuleList):
    """Features of an image at every resolution of a decoder, with the decoder's widths."""

    def __init__(self, sizes: Sizes, *, norm: bool) -> None:
        widths = [sizes.channels(resolution) for resolution in reversed(sizes.resolutions)]
        super().__init__(
            _EncoderLevel(inputs, outputs, down=level > 0, norm=norm)
            for level, (inputs, outputs) in enumerate(zip([3, *widths], widths, strict=False))
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features `[B, C, H, W]`, the finest first, of images `[B, 3, H, W]` in `[-1, 1]`."""
        x = channels_last(images)
        features = []
        for level in self:
            x = level(x)
            features.append(x)
        return features


class FusionMask(nn.Module):
    """Predicts from several features, channel by channel, which of two to take where (Eq. 7).

    Args:
        channels: Of each feature.
        sources: How many features it sees.
        norm: Normalise the logits per sample and channel.
    """

    def __init__(self, channels: int, sources: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels * sources, channels, 1)
        self.norm = norm

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features `[B, C, H, W]` to a mask `[B, C, H, W]` in `[0, 1]`."""
        logits = self.conv(torch.cat(list(features), dim=1))
        return torch.sigmoid_(_normalised(logits) if self.norm else logits)


class PasswordInjector(nn.Module):
    """Turns bits into features; without effect until its gain has been learned (Eq. 6).

    Args:
        depth: Bits per position.
        channels: Of the features.
    """

    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 1, 1))
        self.conv = nn.Conv2d(depth, channels, 1)
        self.activate = Activation(channels)

    def forward(self, bits: Tensor) -> Tensor:
        """Bits `[B, depth, H, W]`, zeros and ones, to features `[B, channels, H, W]`."""
        bias = self.conv.get_parameter("bias") + self.activate.bias
        # As a matrix product over channels_last: of one channel, a convolution's output is not.
        y = functional.linear(bits.permute(0, 2, 3, 1), self.conv.weight[:, :, 0, 0], bias)
        y = functional.leaky_relu_(y.permute(0, 3, 1, 2), SLOPE)
        return y * (self.weight * GAIN).to(y.dtype)


class AdainConv(nn.Module):
    """AdaIN by a style, 3x3 convolution, noise, bias, leaky ReLU.

    Source: Lin et al., "DR-DPGAN" (2025), Eq. 8; AdaIN as in Karras et al., "A Style-Based
    Generator Architecture for Generative Adversarial Networks" (2019).

    Args:
        channels: Of input and output.
        style: Length of the style code.
    """

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.scale = EqualLinear(style, channels, bias=1.0)
        self.shift = EqualLinear(style, channels)
        self.conv = EqualConv(channels, channels, 3)
        self.noise = NoiseStrength()
        self.activate = Activation(channels)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """`[B, C, H, W]`, styles `[B, style]`, noise `[B or 1, 1, H, W]` to maps."""
        scale, shift = (
            layer(w).to(x.dtype)[:, :, None, None] for layer in (self.scale, self.shift)
        )
        y = self.conv(_normalised(x.clone()) * scale + shift)
        offset = None if noise is None else noise * self.noise.weight
        activated: Tensor = self.activate(y, None, offset)
        return activated


class FusionDecoder(Decoder):
    """StyleGAN2 decoder that blends in the features of a face and hides a password.

    Args:
        architecture: Sizes and the kind of masks.
    """

    def __init__(self, architecture: Architecture) -> None:
        sizes = architecture.sizes
        super().__init__(sizes)
        self.architecture = architecture
        if architecture.editing == "adain":
            for level, resolution in enumerate(sizes.resolutions[1:]):
                self.convs[2 * level + 1] = AdainConv(sizes.channels(resolution), sizes.style)
        if architecture.fusion:
            self.pyramid = FaceEncoder(sizes, norm=architecture.encoder_norm)
        masks, injectors = [], []
        for level, resolution in enumerate(sizes.resolutions):
            channels = sizes.channels(resolution)
            hides = level in architecture.password_levels
            if architecture.fusion:
                masks.append(FusionMask(channels, 2 + hides, norm=architecture.mask_norm))
            if hides:  # where there are masks, one of two injectors is for the mask
                depth = architecture.bits // resolution**2
                uses = 1 + architecture.fusion
                injectors += [PasswordInjector(depth, channels) for _ in range(uses)]
        self.fusion_mask = nn.ModuleList(reversed(masks))  # the finest first, like the pyramid
        self.hiding_injects = nn.ModuleList(injectors)

    def forward(
        self,
        images: Tensor,
        latents: Tensor,
        bits: Tensor,
        noise: Noise,
        rendered: Tensor | None = None,
    ) -> Tensor:
        """Render faces with another identity and the same surroundings.

        Args:
            images: Originals `[B, 3, H, W]` in `[-1, 1]`.
            latents: W+ `[B, layers, style]` or W `[B, style]`.
            bits: Password `[B, identity, 32]`: bool, or zeros and ones.
            noise: Noise maps of the decoder, see `draw_noise`; None for no noise.
            rendered: Faces `[B, 3, H, W]` as a prior draws them: their features join the generated
                ones. A stand-in for a decoder that has learned faces before, not in the article.

        Returns:
            `[B, 3, H, W]`, nominally in `[-1, 1]`, not clipped.
        """
        password = bits.to(images.dtype)
        if not self.architecture.fusion:
            return self.synthesize(latents, noise, partial(self._hide, password))
        features = self.pyramid(images)
        drawn = self.pyramid(rendered) if rendered is not None else None

        def fuse(level: int, generated: Tensor) -> Tensor:
            if drawn is not None:
                generated = generated + drawn[-1 - level]
            return self._fuse(level, generated, features[-1 - level], password)

        return self.synthesize(latents, noise, fuse)

    def _hide(self, password: Tensor, level: int, generated: Tensor) -> Tensor:
        if level not in self.architecture.password_levels:
            return generated
        bits = password.view(len(generated), -1, *generated.shape[2:])
        features: Tensor = self.hiding_injects[level - _FIRST_PASSWORD_LEVEL](bits)
        return generated + features

    def _fuse(self, level: int, generated: Tensor, face: Tensor, password: Tensor) -> Tensor:
        generated = generated.to(face.dtype)  # the constant input is not under autocast
        mask: Tensor
        if level not in self.architecture.password_levels:
            mask = self.fusion_mask[-1 - level]([generated, face])
            return self._blend(mask, generated, face)
        seen, added = self.hiding_injects[2 * level - 2], self.hiding_injects[2 * level - 1]
        bits = password.view(len(face), -1, *face.shape[2:])
        mask = self.fusion_mask[-1 - level]([generated, face, seen(bits)])
        return self._blend(mask, generated, face).add_(added(bits))

    def _blend(self, mask: Tensor, generated: Tensor, face: Tensor) -> Tensor:
        if self.architecture.mask_selects == "generated":
            return torch.lerp(face, generated, mask)
        return torch.lerp(generated, face, mask)


class StyleMappers(nn.Module):
    """Maps identity and geometry to W+ by three networks: coarse, middle and fine layers (Eq. 4).

    Args:
        architecture: Lengths of the inputs, of a style and of the three parts.
        depth: Layers of each network.
    """

    def __init__(self, architecture: Architecture, depth: int = 4) -> None:
        super().__init__()
        self.rows = architecture.rows
        inputs, style = architecture.identity + architecture.geometry, architecture.sizes.style
        self.style_low = _mapper(inputs, style, depth, architecture.mapper_rate)
        self.style_middle = _mapper(inputs, style, depth, architecture.mapper_rate)
        self.style_high = _mapper(inputs, style, depth, architecture.mapper_rate)

    def forward(self, identity: Tensor, geometry: Tensor) -> Tensor:
        """Embeddings `[B, identity]`, coefficients `[B, geometry]` to W+ `[B, layers, style]`."""
        x = pixel_norm(torch.cat([identity, geometry], dim=1))
        mappers = (self.style_low, self.style_middle, self.style_high)
        parts = [
            mapper(x)[:, None].expand(-1, rows, -1)
            for mapper, rows in zip(mappers, self.rows, strict=True)
        ]
        return torch.cat(parts, dim=1)


def _mapper(inputs: int, style: int, depth: int, rate: float) -> nn.Sequential:
    # The authors add the bias in the linear part and again in the activation.
    return nn.Sequential(
        *(
            EqualLinear(width, style, lr_mul=rate, activate=True, bias_gain=2.0)
            for width in [inputs, *[style] * (depth - 1)]
        )
    )


class _BranchedBlock(nn.Module):
    """A 3x3 and a 1x1 branch side by side, each half as wide as the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1x1_branch_1 = nn.Conv2d(width, half, 1)
        self.bn_branch_1_1 = nn.BatchNorm2d(half)
        self.conv3x3_branch_1 = nn.Conv2d(half, half, 3, padding=1)
        self.bn_branch_1_2 = nn.BatchNorm2d(half)
        self.conv1x1_branch_2 = nn.Conv2d(width, half, 1)
        self.bn_branch_2_1 = nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        a = _leaky(self.bn_branch_1_1(self.conv1x1_branch_1(x)))
        a = _leaky(self.bn_branch_1_2(self.conv3x3_branch_1(a)))
        b = _leaky(self.bn_branch_2_1(self.conv1x1_branch_2(x)))
        return torch.cat([a, b], dim=1)


class _PlainBlock(nn.Module):
    """A 3x3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return _leaky(self.bn(self.conv(x)))


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu_(x, _EXTRACTOR_SLOPE)


class PasswordExtractor(nn.Module):
    """Reads the password from an image, one bit per 2x2 pixels.

    Args:
        kind: The blocks between its first and its last layer: `branched` into two paths, or one
            `plain` convolution each.
        width: Channels of all layers but the last.
        depth: Blocks.
    """

    def __init__(self, kind: Extractor = "branched", width: int = 128, depth: int = 3) -> None:
        super().__init__()
        block = _PlainBlock if kind == "plain" else _BranchedBlock
        self.conv1x1_input = nn.Conv2d(3, width, 1)
        self.body = nn.Sequential(*(block(width) for _ in range(depth)))
        self.conv1x1_output = nn.Conv2d(width, 1, 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, H * W / 128, 32]` of images `[B, 3, H, W]` in `[-1, 1]`."""
        x = self.body(_leaky(self.conv1x1_input(channels_last(images))))
        logits: Tensor = self.conv1x1_output(x)
        return logits.reshape(len(images), -1, WIDTH)


class FusionNetworks(nn.Module):
    """What all methods of this kind train; the names are those of G²Face's checkpoint.

    Args:
        architecture: Sizes; the default is the published 256-pixel network.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        self.anonymous_net = FusionDecoder(self.architecture)
        self.style_mlp = StyleMappers(self.architecture)
        self.hiding_extractor = PasswordExtractor(
            self.architecture.extractor, self.architecture.extractor_width
        )
