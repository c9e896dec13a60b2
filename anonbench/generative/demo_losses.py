"""Losses that only demos have, beside the face swaps that teach them (`swaps`).

Regions are masks `[B, 1, S, S]` in `[0, 1]` of where faces are, images `[B, 3, S, S]` in `[-1, 1]`.
"""

from torch import Tensor
from torch.nn import functional

# Where faces are in aligned crops: rows and columns, in sides of the image.
_FACE = ((30 / 128, 114 / 128), (22 / 128, 106 / 128))
_AROUND = 1.5  # weight of the surroundings relative to the faces


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


def _mean_where(weights: Tensor, values: Tensor) -> Tensor:
    """The mean of `[B, C, S, S]`, weighted by `[B, 1, S, S]`."""
    return (values * weights).sum() / (values.shape[1] * weights.sum())
