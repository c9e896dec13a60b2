"""StyleGAN2: mapping network, decoder and discriminator, in plain PyTorch.

Architecture: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020), with
skip connections in the decoder and residual blocks in the discriminator. Keys and shapes are those
of the checkpoints of rosinality/stylegan2-pytorch (entry `g_ema`), which RiDDLE and G²Face use.

Styles scale activations, never weights: the weights of a modulated convolution are shared by the
batch, which is then one ordinary convolution, and demodulation is a factor per sample and output
channel behind it. Feature maps are channels_last. Gains are folded into factors and biases, so
that a layer is one convolution and two passes over its output. Everything is safe under bfloat16
autocast: styles, demodulation and the image are computed in float32.

Noise is always given by the caller: `draw_noise` makes it from one generator per sample.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.errors import BadConfig

SLOPE = 0.2
GAIN = math.sqrt(2)  # of every activation, so that it keeps the variance
EPSILON = 1e-8

Fuse = Callable[[int, Tensor], Tensor]
Noise = Sequence[Tensor] | None


@dataclass(frozen=True)
class Sizes:
    """Size and width of a decoder or discriminator.

    Attributes:
        image: Height and width of the image, a power of two, at least 8.
        style: Length of a style code.
        channel_base: Channels times resolution, until `channel_max` is reached. 32,768 is what
            the published 256-pixel networks call channel multiplier 2.
        channel_max: Most channels of a layer.

    Raises:
        BadConfig: The image size is not such a power.
    """

    image: int = 256
    style: int = 512
    channel_base: int = 32_768
    channel_max: int = 512

    def __post_init__(self) -> None:
        if self.image < 8 or self.image & (self.image - 1):
            raise BadConfig(f"The image size is {self.image}, not a power of two from 8 on.")

    @property
    def resolutions(self) -> list[int]:
        """Heights of the feature maps: 4, 8, ..., image."""
        return [2**power for power in range(2, self.image.bit_length())]

    @property
    def latents(self) -> int:
        """Style codes that a W+ code has: one per layer, where toRGB shares the next layer's."""
        return 2 * len(self.resolutions)

    def channels(self, resolution: int) -> int:
        """Width of the feature maps of a resolution."""
        return min(self.channel_max, self.channel_base // resolution)


def draw_noise(sizes: Sizes, generators: Sequence[torch.Generator]) -> list[Tensor]:
    """Noise maps for a batch, one `[B, 1, H, W]` per layer of the decoder, from N(0, 1).

    Args:
        sizes: Of the decoder.
        generators: One per sample, so that a sample's noise depends on no other sample.
    """
    first, *others = sizes.resolutions
    layers = [first] + [resolution for resolution in others for _ in range(2)]
    samples = [
        [torch.randn(1, side, side, generator=g, device=g.device) for side in layers]
        for g in generators
    ]
    return [torch.stack(maps) for maps in zip(*samples, strict=True)]


def truncate(styles: Tensor, mean: Tensor, psi: float) -> Tensor:
    """Pull style codes towards their mean: `mean + psi * (styles - mean)`."""
    return torch.lerp(mean, styles, psi)


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Context in which autocast is off on the device of a tensor."""
    device = x.device.type
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def channels_last(x: Tensor) -> Tensor:
    """The same maps with their channels side by side in memory."""
    return x.contiguous(memory_format=torch.channels_last)


def pixel_norm(x: Tensor) -> Tensor:
    """Codes `[B, D]` scaled to a mean square of one."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + EPSILON)


class EqualLinear(nn.Module):
    """Linear layer whose weights are scaled at run time; always computed in float32.

    Args:
        inputs: Length of the input.
        outputs: Length of the output.
        bias: Initial value of the (unscaled) bias.
        lr_mul: Learning rate of this layer relative to the others'.
        activate: Apply the leaky ReLU with its gain.
        bias_gain: How often the bias counts.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        bias: float = 0.0,
        lr_mul: float = 1.0,
        activate: bool = False,
        bias_gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.activate = activate
        gain = lr_mul * (GAIN if activate else 1.0)
        self.weight_gain, self.bias_gain = gain / math.sqrt(inputs), gain * bias_gain

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs]` to `[B, outputs]`."""
        with full_precision(x):
            y = functional.linear(x.float() * self.weight_gain, self.weight)
            y = y + self.bias * self.bias_gain
        return functional.leaky_relu_(y, SLOPE) if self.activate else y


class EqualConv(nn.Module):
    """Convolution without bias whose weights are scaled at run time."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        self.stride = stride
        # A strided convolution follows a blur, which pads.
        self.padding = kernel // 2 if stride == 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, H, W]` to `[B, outputs, H / stride, W / stride]`."""
        weight = self.weight * self.scale
        return functional.conv2d(x, weight, stride=self.stride, padding=self.padding)


class Activation(nn.Module):
    """`√2 · leaky_relu(x · factor + offset + bias)` on feature maps.

    The gain goes into factor, offset and bias, as the leaky ReLU commutes with positive factors.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(
        self, x: Tensor, factor: Tensor | None = None, offset: Tensor | None = None
    ) -> Tensor:
        """Maps `[B, C, H, W]` to maps.

        Args:
            x: Feature maps; overwritten where no gradient is needed, since on CPUs new memory
                takes longer than the arithmetic.
            factor: `[B, C]`; None for one.
            offset: `[B, 1, H, W]`; None for zero.
        """
        bias = (self.bias * GAIN).to(x.dtype)[:, None, None]
        out = None if torch.is_grad_enabled() else x
        if factor is None:
            y = torch.add(bias, x, alpha=GAIN, out=out)
        else:
            scale = (factor * GAIN).to(x.dtype)[:, :, None, None]
            y = torch.addcmul(bias, x, scale, out=out)
        if offset is not None:
            y.add_((offset * GAIN).to(x.dtype))
        return functional.leaky_relu_(y, SLOPE)


def _blur_kernel(gain: float) -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps)
    return kernel * (gain / kernel.sum())


class Blur(nn.Module):
    """Low-pass filter of 4x4 taps, channel by channel.

    Args:
        gain: Sum of the taps.
        padding: Zeros on each side.
        stride: Every how many pixels an output is computed.
    """

    kernel: Tensor

    def __init__(self, gain: float = 1.0, *, padding: int, stride: int = 1) -> None:
        super().__init__()
        self.register_buffer("kernel", _blur_kernel(gain))
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, (H + 2 * padding - 3) / stride, ...]`."""
        channels = x.shape[1]
        taps = self.kernel.expand(channels, 1, -1, -1)
        return functional.conv2d(x, taps, stride=self.stride, padding=self.padding, groups=channels)


class Upsample(nn.Module):
    """Doubles height and width, interpolating with the blur's taps."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _blur_kernel(4.0))  # three zeros join each pixel

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, C, 2H, 2W]`."""
        channels = x.shape[1]
        taps = self.kernel.expand(channels, 1, -1, -1)
        return functional.conv_transpose2d(x, taps, stride=2, padding=1, groups=channels)


def convolve_up(x: Tensor, kernel: Tensor) -> Tensor:
    """Transposed convolution of stride 2: `[B, I, H, W]` and `[O, I, 3, 3]` to `2H + 1`, `2W + 1`.

    On CPUs, bfloat16 convolutions are several times faster than transposed ones. There, when no
    gradient is needed (whose cost outweighs the gain), the even and odd rows and columns of the
    output are computed by one small convolution each: the same products in other order.
    """
    if x.dtype == torch.float32 or x.device.type != "cpu" or torch.is_grad_enabled():
        return functional.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)
    batch, _, height, width = x.shape
    y = x.new_empty(batch, 2 * height + 1, 2 * width + 1, len(kernel)).permute(0, 3, 1, 2)
    flipped = kernel.to(x.dtype).flip(2, 3)
    # Along each axis: where the outputs go, the taps that reach them, the padding.
    even, odd = (slice(0, None, 2), slice(0, None, 2), 1), (slice(1, None, 2), slice(1, 2), 0)
    for rows, row_taps, row_padding in (even, odd):
        for columns, column_taps, column_padding in (even, odd):
            taps = flipped[:, :, row_taps, column_taps]
            y[:, :, rows, columns] = functional.conv2d(
                x, taps, padding=(row_padding, column_padding)
            )
    return y


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by a style (section 2.2 of the paper).

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        kernel: 1 or 3.
        style: Length of the style code.
        up: Double height and width.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style: int, *, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style, inputs, bias=1.0)
        self.scale = 1 / math.sqrt(inputs * kernel**2)
        if up:
            self.blur = Blur(4.0, padding=1)  # three zeros join each pixel
        self.up = up

    def scales(self, w: Tensor) -> Tensor:
        """Factors `[B, inputs]` of the input's channels: the style and the weights' scale."""
        scales: Tensor = self.modulation(w) * self.scale
        return scales

    def demodulation(self, scales: Tensor) -> Tensor:
        """Factors `[B, outputs]` that give the output the variance of a white input."""
        with full_precision(scales):
            # The square of a norm is one pass over the weights, a sum of squares two.
            power = torch.linalg.vector_norm(self.weight[0], dim=(2, 3)).square()
            return torch.rsqrt(functional.linear(scales.square(), power) + EPSILON)

    def forward(self, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve under a style.

        Args:
            x: `[B, inputs, H, W]`.
            w: Style codes `[B, style]`.

        Returns:
            Maps `[B, outputs, H, W]` (or twice that size) without demodulation, and the factors
            `[B, outputs]` that demodulate them.
        """
        scales = self.scales(w)
        x = x * scales.to(x.dtype)[:, :, None, None]
        kernel = self.weight[0]
        if not self.up:
            return functional.conv2d(x, kernel, padding="same"), self.demodulation(scales)
        return self.blur(convolve_up(x, kernel)), self.demodulation(scales)


class NoiseStrength(nn.Module):
    """How strongly noise joins the maps; zero in a new network."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class StyledConv(nn.Module):
    """Modulated and demodulated 3x3 convolution, noise, bias, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style, up=up)
        self.noise = NoiseStrength()
        self.activate = Activation(outputs)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """`[B, inputs, H, W]`, styles `[B, style]`, noise `[B or 1, 1, H', W']` to maps."""
        y, factor = self.conv(x, w)
        offset = None if noise is None else noise * self.noise.weight
        activated: Tensor = self.activate(y, factor, offset)
        return activated


class ToRgb(nn.Module):
    """Adds a resolution's contribution to the image.

    With three outputs it is cheaper to scale the weights of each sample than the maps, and the
    convolution is a matrix product. The image is summed in float32.
    """

    def __init__(self, inputs: int, style: int, *, up: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.conv = ModulatedConv(inputs, 3, 1, style)
        if up:
            self.upsample = Upsample()

    def forward(self, x: Tensor, w: Tensor, image: Tensor | None = None) -> Tensor:
        """Maps `[B, C, H, W]`, styles `[B, style]`, image `[B, 3, H/2, W/2]` to `[B, 3, H, W]`."""
        weights = self.conv.weight[0, :, :, 0, 0] * self.conv.scales(w)[:, None]  # [B, 3, C]
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # [B, H * W, C]
        rgb = torch.matmul(pixels, weights.to(x.dtype).transpose(1, 2))
        with full_precision(x):
            rgb = rgb.view(-1, *x.shape[2:], 3).permute(0, 3, 1, 2).float() + self.bias
            if image is not None:
                rgb = rgb + self.upsample(image)
        return rgb


class _ConstantInput(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Decoder(nn.Module):
    """The synthesis network: W+ codes to images. A base class: subclasses say what goes in.

    Args:
        sizes: Size and widths.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        first, *others = sizes.resolutions
        width = sizes.channels(first)
        self.input = _ConstantInput(width)
        self.conv1 = StyledConv(width, width, sizes.style)
        self.to_rgb1 = ToRgb(width, sizes.style, up=False)
        convs: list[nn.Module] = []
        to_rgbs: list[nn.Module] = []
        for resolution in others:
            channels = sizes.channels(resolution)
            convs.append(StyledConv(width, channels, sizes.style, up=True))
            convs.append(StyledConv(channels, channels, sizes.style))
            to_rgbs.append(ToRgb(channels, sizes.style, up=True))
            width = channels
        self.convs, self.to_rgbs = nn.ModuleList(convs), nn.ModuleList(to_rgbs)

    def synthesize(self, latents: Tensor, noise: Noise, fuse: Fuse | None = None) -> Tensor:
        """Render images.

        Args:
            latents: Style codes per layer (W+) `[B, sizes.latents, style]`, or one for all layers
                (W) `[B, style]`.
            noise: One map `[B or 1, 1, H, W]` per layer, see `draw_noise`; None for no noise.
            fuse: What to do with the maps `[B, C, H, W]` of level 0 (4x4), 1 (8x8), ...: called
                before the convolution of level 0 and between the two of every other level.

        Returns:
            `[B, 3, H, W]`, nominally in `[-1, 1]`, not clipped.
        """
        if latents.ndim == 2:
            latents = latents[:, None].expand(-1, self.sizes.latents, -1)
        codes = latents.unbind(1)
        maps = [None] * (len(self.convs) + 1) if noise is None else noise
        x = channels_last(self.input.input.expand(len(latents), -1, -1, -1))
        if fuse is not None:
            x = fuse(0, x)
        x = self.conv1(x, codes[0], maps[0])
        image: Tensor = self.to_rgb1(x, codes[1])
        for level, to_rgb in enumerate(self.to_rgbs, start=1):
            odd = 2 * level - 1
            x = self.convs[odd - 1](x, codes[odd], maps[odd])
            if fuse is not None:
                x = fuse(level, x)
            x = self.convs[odd](x, codes[odd + 1], maps[odd + 1])
            image = to_rgb(x, codes[odd + 2], image)
        return image


class _PixelNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return pixel_norm(x)


class _NoiseBuffers(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        for layer in range(2 * len(sizes.resolutions) - 1):
            side = sizes.resolutions[(layer + 1) // 2]
            self.register_buffer(f"noise_{layer}", torch.zeros(1, 1, side, side))


class Generator(Decoder):
    """Mapping network and decoder, with the noise maps that a checkpoint stores.

    Args:
        sizes: Size and widths.
        depth: Layers of the mapping network.
    """

    def __init__(self, sizes: Sizes, depth: int = 8) -> None:
        super().__init__(sizes)
        width = sizes.style
        layers = [EqualLinear(width, width, lr_mul=0.01, activate=True) for _ in range(depth)]
        self.style = nn.Sequential(_PixelNorm(), *layers)
        self.noises = _NoiseBuffers(sizes)

    def forward(self, latents: Tensor, noise: Noise) -> Tensor:
        """Images of W+ or W codes, see `synthesize`."""
        return self.synthesize(latents, noise)

    def map(self, z: Tensor) -> Tensor:
        """Style codes (W) `[B, style]` of latents `[B, style]` from N(0, 1)."""
        styles: Tensor = self.style(z)
        return styles

    def stored_noise(self) -> list[Tensor]:
        """The checkpoint's noise maps, `[1, 1, H, W]` per layer; zeros in a new network."""
        return list(self.noises.buffers())


class _ConvLayer(nn.Sequential):
    """Convolution with an optional blur before and activation behind it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, down: bool = False) -> None:
        conv = EqualConv(inputs, outputs, kernel, stride=2 if down else 1)
        layers = [conv, Activation(outputs)]
        super().__init__(*([Blur(padding=2), *layers] if down else layers))


class _ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _ConvLayer(inputs, inputs, 3)
        self.conv2 = _ConvLayer(inputs, outputs, 3, down=True)
        # The blur strides, as its pixels that a strided 1x1 convolution skips serve nobody.
        self.skip = nn.Sequential(Blur(padding=1, stride=2), EqualConv(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        main: Tensor = self.conv2(self.conv1(x))
        skip: Tensor = self.skip(x)
        return (main + skip) * (1 / GAIN)


def append_deviation(x: Tensor, most: int = 4) -> Tensor:
    """Maps with one more channel: the mean standard deviation within a group of samples.

    Args:
        x: `[B, C, H, W]`.
        most: Largest group; the group is the largest divisor of B up to this.
    """
    batch, _, height, width = x.shape
    size = max(n for n in range(1, most + 1) if batch % n == 0)
    with full_precision(x):
        # Sample i belongs to group i mod (B / size).
        groups = x.float().reshape(size, batch // size, *x.shape[1:])
        deviation = (groups.var(dim=0, correction=0) + EPSILON).sqrt().mean(dim=(1, 2, 3))
    channel = deviation.repeat(size)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, channel.to(x.dtype)], dim=1)


class Discriminator(nn.Module):
    """Tells real images from generated ones.

    Args:
        sizes: Size and widths; the length of styles plays no part.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        first, *others = reversed(sizes.resolutions)
        width = sizes.channels(first)
        blocks: list[nn.Module] = [_ConvLayer(3, width, 1)]
        for resolution in others:
            channels = sizes.channels(resolution)
            blocks.append(_ResidualBlock(width, channels))
            width = channels
        self.convs = nn.Sequential(*blocks)
        self.final_conv = _ConvLayer(width + 1, width, 3)
        self.final_linear = nn.Sequential(
            EqualLinear(width * 4 * 4, width, activate=True), EqualLinear(width, 1)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, 1]`, high for real, of images `[B, 3, H, W]` in `[-1, 1]`."""
        x = append_deviation(self.convs(channels_last(images)))
        # The checkpoint's linear weights follow the order channel, row, column.
        logits: Tensor = self.final_linear(self.final_conv(x).flatten(1))
        return logits
