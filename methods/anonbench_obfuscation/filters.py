"""Image filters on `[B, 3, H, W]` tensors whose bits depend on nothing but the image itself.

A convolution or a matrix product may pick another algorithm, and so other last bits, for another
batch size or device. These filters therefore use only pooling and single rounded products and
sums, in a fixed order.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

REFERENCE_SIZE = 256
"""Crop size in pixels in which block, sigma and the face ellipse are given."""

FACE_CENTRE = (127.5, 140.0)
"""Centre `(x, y)` of the face ellipse in a 256-px crop of the `ffhq` alignment."""

FACE_RADII = (108.0, 116.0)
"""Semi-axes `(x, y)` of the face ellipse in a 256-px crop of the `ffhq` alignment.

Chosen on 297 faces of LFW (dlib HOG, 68 landmarks): all landmarks inside the jaw line and 98 % of
those on it lie in the ellipse.
"""


def gaussian_blur(faces: Tensor, sigma: float) -> Tensor:
    """Convolve with a Gaussian, cut at 4 sigma, the border pixels repeated outwards.

    The same definition as `scipy.ndimage.gaussian_filter(mode="nearest")`.

    Args:
        faces: `[B, 3, H, W]` float32.
        sigma: Standard deviation in pixels of these crops, above 0.

    Returns:
        `[B, 3, H, W]` float32.
    """
    half_kernel = _half_gaussian(sigma)
    # One image at a time: its buffers then fit in the processor's cache, twice as fast.
    return torch.stack(
        [
            _blur_along(_blur_along(face[None], half_kernel, -1), half_kernel, -2)[0]
            for face in faces
        ]
    )


def _half_gaussian(sigma: float) -> list[float]:
    """The normalised weights at distance 0, 1, 2 ... of the centre."""
    radius = int(4 * sigma + 0.5)
    weights = [math.exp(-0.5 * (distance / sigma) ** 2) for distance in range(radius + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    return [weight / total for weight in weights]


def _blur_along(faces: Tensor, half_kernel: list[float], dim: int) -> Tensor:
    """Convolve with a symmetric kernel along the rows (`dim` -2) or the columns (`dim` -1)."""
    radius, length = len(half_kernel) - 1, faces.shape[dim]
    margins = (radius, radius, 0, 0) if dim == -1 else (0, 0, radius, radius)
    padded = functional.pad(faces, margins, mode="replicate")
    result = padded.narrow(dim, radius, length) * half_kernel[0]
    for distance in range(1, radius + 1):
        before = padded.narrow(dim, radius - distance, length)
        after = padded.narrow(dim, radius + distance, length)
        result += (before + after) * half_kernel[distance]
    return result


def pixelate(faces: Tensor, block: int) -> Tensor:
    """Replace every `block` x `block` square by its mean, counted from the top left corner.

    Squares that stick out at the right and the bottom are averaged over the pixels they have.

    Args:
        faces: `[B, 3, H, W]` float32.
        block: Side of a square in pixels of these crops, at least 1.

    Returns:
        `[B, 3, H, W]` float32.
    """
    height, width = faces.shape[-2:]
    block = min(block, max(height, width))
    means = functional.avg_pool2d(faces, block, ceil_mode=True)
    tiled = means.repeat_interleave(block, -2).repeat_interleave(block, -1)
    return tiled[..., :height, :width]


def face_mask(height: int, width: int, device: torch.device) -> Tensor:
    """The ellipse that holds the face in a crop of the `ffhq` alignment.

    Returns:
        `[height, width]` bool, True inside.
    """
    x = (torch.arange(width, device=device) + 0.5) * (REFERENCE_SIZE / width) - 0.5
    y = (torch.arange(height, device=device) + 0.5) * (REFERENCE_SIZE / height) - 0.5
    across = ((x - FACE_CENTRE[0]) / FACE_RADII[0]) ** 2
    down = ((y - FACE_CENTRE[1]) / FACE_RADII[1]) ** 2
    return across[None, :] + down[:, None] <= 1
