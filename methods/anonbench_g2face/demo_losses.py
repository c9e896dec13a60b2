"""Losses that only the demo has, beside the face swaps that teach it (`anonbench_g2face.swaps`).

Regions are masks `[B, 1, S, S]` in `[0, 1]` of where faces are, images `[B, 3, S, S]` in `[-1, 1]`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

# Where faces are in aligned crops: rows and columns, in sides of the image.
_FACE = ((30 / 128, 114 / 128), (22 / 128, 106 / 128))
_AROUND = 1.5  # weight of the surroundings relative to the faces
_COARSEST = 2  # masks that may let through what they like: no face can be seen in 8x8 features


def parted_l1(output: Tensor, target: Tensor, regions: Tensor) -> Tensor:
    """L1 of images as two means, one inside the regions and one around them."""
    difference = (output - target).abs()
    return _mean_where(regions, difference) + _AROUND * _mean_where(1 - regions, difference)


def enlarged(images: Tensor) -> Tensor:
    """The faces in aligned crops, enlarged to their size."""
    size = images.shape[-1]
    rows, columns = (slice(round(a * size), round(b * size)) for a, b in _FACE)
    shape = (size, size)
    return functional.interpolate(images[:, :, rows, columns], shape, mode="bilinear")


def kept_by(masks: Sequence[Tensor], regions: Tensor) -> Tensor:
    """The share of the original's features that masks let through inside the regions.

    Args:
        masks: `[B, C, H, W]`, the coarsest first: the share of what is generated.
        regions: Of the faces.
    """
    shares = []
    for mask in masks[_COARSEST:]:
        part = functional.adaptive_avg_pool2d(regions, mask.shape[-1])
        shares.append(_mean_where(part, 1 - mask.float()))
    return torch.stack(shares).mean()


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


def _mean_where(weights: Tensor, values: Tensor) -> Tensor:
    """The mean of `[B, C, S, S]`, weighted by `[B, 1, S, S]`."""
    return (values * weights).sum() / (values.shape[1] * weights.sum())
