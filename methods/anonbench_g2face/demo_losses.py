"""Losses that only the demo has, around the face swaps that teach it (`anonbench_g2face.swaps`).

Regions are masks `[B, 1, S, S]` in `[0, 1]` of where faces are, images `[B, 3, S, S]` in `[-1, 1]`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.nets.lpips import Lpips

# Where faces are in aligned crops: rows and columns, in sides of the image.
_FACE = ((30 / 128, 114 / 128), (22 / 128, 106 / 128))
_AROUND = 1.5  # weight of a swap's surroundings relative to its face
_COARSEST = 2  # masks that may let through what they like: no face can be seen in 8x8 features


def swap_losses(
    lpips: Lpips,
    autocast: AbstractContextManager[None],
    output: Tensor,
    swaps: Tensor,
    originals: Tensor,
    regions: Tensor,
) -> tuple[Tensor, Tensor]:
    """How far outputs are from face swaps, and how much nearer to the originals than those are.

    Args:
        lpips: Compares the faces, enlarged.
        autocast: Under which it runs.
        output: What the network made.
        swaps: What it should have made.
        originals: From which it should not have copied.
        regions: Of the faces.

    Returns:
        L1, as one mean inside the faces and another around them, plus LPIPS to the swaps; and by
        how much LPIPS to the originals falls short of that of the swaps.
    """
    difference = (output - swaps).abs()
    pixels = mean_where(regions, difference) + _AROUND * mean_where(1 - regions, difference)
    faces = [_enlarged(images) for images in (output, swaps, originals)]
    with autocast:
        with torch.no_grad():
            wanted, own = lpips.features(faces[1]), lpips.features(faces[2])
            margin = lpips.distance(wanted, own)
        made = lpips.features(faces[0])
        perceptual = lpips.distance(made, wanted).mean()
        copied = (margin - lpips.distance(made, own)).relu().mean()
    return pixels + perceptual, copied


def kept_by(masks: Sequence[Tensor], regions: Tensor) -> Tensor:
    """The share of the original's features that masks let through inside the faces.

    Args:
        masks: `[B, C, H, W]`, the coarsest first: the share of what is generated.
        regions: Of the faces.
    """
    shares = []
    for mask in masks[_COARSEST:]:
        part = functional.adaptive_avg_pool2d(regions, mask.shape[-1])
        shares.append(mean_where(part, 1 - mask.float()))
    return torch.stack(shares).mean()


def mean_where(weights: Tensor, values: Tensor) -> Tensor:
    """The mean of `[B, C, S, S]`, weighted by `[B, 1, S, S]`."""
    return (values * weights).sum() / (values.shape[1] * weights.sum())


@contextmanager
def outputs_of(modules: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """A list to which modules add what they give as long as the block lasts."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
        outputs.append(output)

    handles = [module.register_forward_hook(keep) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _enlarged(images: Tensor) -> Tensor:
    """The faces in aligned crops, enlarged to their size."""
    size = images.shape[-1]
    rows, columns = (slice(round(a * size), round(b * size)) for a, b in _FACE)
    shape = (size, size)
    return functional.interpolate(images[:, :, rows, columns], shape, mode="bilinear")
