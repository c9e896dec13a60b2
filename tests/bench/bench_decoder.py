"""Throughput of the 256-pixel decoders as a share of what plain convolutions of their shapes reach.

Run: python tests/bench/bench_decoder.py [THREADS ...]
`decoder` is StyleGAN2's synthesis network alone, `g2face` the face encoder, fusion blocks and
password injectors around it. The yardstick, in the same run: every 3x3 convolution of the decoder
on its own, without style, blur, noise and activation, in channels_last and the same precision.
FLOPs are two per multiply-add, as torch.utils.flop_counter counts them.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from anonbench.nets.fusion import Architecture, FusionDecoder
from anonbench.nets.stylegan2 import Generator, Sizes, draw_noise

REPEATS = 3
SIZES = Sizes()


def seconds(run: Callable[[], object]) -> float:
    """Best of several runs; counting the FLOPs before has warmed up."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def flops(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def plain_convolutions(batch: int, dtype: torch.dtype) -> Callable[[], object]:
    """The decoder's 3x3 convolutions; one that doubles the size works at the smaller size."""
    layers: list[tuple[Tensor, Tensor]] = []
    first, *others = SIZES.resolutions
    shapes = [(SIZES.channels(first), SIZES.channels(first), first)]
    for resolution in others:
        before, channels = SIZES.channels(resolution // 2), SIZES.channels(resolution)
        shapes += [(before, channels, resolution // 2), (channels, channels, resolution)]
    for inputs, outputs, side in shapes:
        x = torch.randn(batch, inputs, side, side, dtype=dtype)
        weight = torch.randn(outputs, inputs, 3, 3, dtype=dtype)
        layers.append((x.to(memory_format=torch.channels_last), weight))
    return lambda: [functional.conv2d(x, weight, padding=1) for x, weight in layers]


def decoder_run(net: nn.Module, batch: int) -> Callable[[], object]:
    latents = torch.randn(batch, SIZES.latents, SIZES.style)
    noise = draw_noise(SIZES, [torch.Generator().manual_seed(i) for i in range(batch)])
    if not isinstance(net, FusionDecoder):
        return lambda: net(latents, noise)
    images = torch.rand(batch, 3, SIZES.image, SIZES.image) * 2 - 1
    bits = torch.rand(batch, net.architecture.identity, 32) < 0.5
    return lambda: net(images, latents, bits, noise)


def compare(nets: dict[str, nn.Module], batch: int, dtype: torch.dtype) -> None:
    plain = plain_convolutions(batch, dtype)
    runs = {name: decoder_run(net, batch) for name, net in nets.items()}
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16)
    with torch.inference_mode(), autocast:
        yardstick = flops(plain) / seconds(plain)
        for name, run in runs.items():
            work, took = flops(run), seconds(run)
            print(
                f"{name:8} batch {batch} {str(dtype)[6:]:9} {took / batch:7.3f} s/image "
                f"{work / took / 1e9:7.0f} GFLOP/s, plain {yardstick / 1e9:7.0f}, "
                f"share {work / took / yardstick:.2f}",
                flush=True,
            )


def main() -> None:
    nets: dict[str, nn.Module] = {
        "decoder": Generator(SIZES).eval(),
        "g2face": FusionDecoder(Architecture()).eval(),
    }
    for threads in [int(argument) for argument in sys.argv[1:]] or [torch.get_num_threads()]:
        torch.set_num_threads(threads)
        print(f"{threads} threads")
        for dtype in (torch.float32, torch.bfloat16):
            for batch in (1, 8):
                compare(nets, batch, dtype)


if __name__ == "__main__":
    main()
