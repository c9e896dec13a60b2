"""Inputs for the conformance suite, made from a seed: it needs no data set."""

import torch
from torch import Tensor

_PARTS = (
    # centre x and y, radius x and y in fractions of an ffhq crop, brightness added
    (0.50, 0.56, 0.33, 0.40, 0.45),
    (0.38, 0.47, 0.06, 0.03, -0.40),
    (0.62, 0.47, 0.06, 0.03, -0.40),
    (0.50, 0.62, 0.05, 0.06, -0.15),
    (0.50, 0.73, 0.12, 0.03, -0.30),
)


def synthetic_faces(count: int, size: int, seed: int = 0) -> Tensor:
    """Smooth face-like crops: an oval with eyes, nose and mouth before a plain background.

    Place, shape, colour and brightness of every part vary with the seed, so no two are equal.

    Returns:
        `[count, 3, size, size]` float32 in `[0, 1]`, multiples of 1/255 as decoded files are.
    """
    generator = torch.Generator().manual_seed(seed)
    axis = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    faces = 0.1 + 0.3 * torch.rand((count, 3, 1, 1), generator=generator).expand(-1, -1, size, size)
    for centre_x, centre_y, radius_x, radius_y, brightness in _PARTS:
        shift, stretch, shade = torch.rand((3, count, 3, 1, 1), generator=generator)
        across = (x - centre_x + 0.04 * (shift[:, :1] - 0.5)) / (radius_x * (0.8 + stretch[:, :1]))
        down = (y - centre_y) / (radius_y * (0.8 + stretch[:, 1:2]))
        faces = faces + brightness * (0.7 + 0.6 * shade) * torch.exp(-((across**2 + down**2) ** 2))
    return (faces.clamp(0, 1) * 255).round() / 255
