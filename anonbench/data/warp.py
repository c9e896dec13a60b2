"""Resampling of images under similarities, with honest borders and without aliasing.

A matrix is a `[2, 3]` float64 similarity that acts on columns `(x, y, 1)` of pixels, whose
centres lie at whole numbers.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from anonbench.errors import BadImage

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Border = Literal["black", "edge", "soft"]

REACH = 16.0
"""A crop more than this many times as wide as the image's longer side is of no face in it."""

BLUR, BLUR_WITHIN, FADE_WITHIN = 0.02, 0.1, 0.3
"""Softening of what lies outside an image, in sides of the crop: sigma of the blur, and the
distances from the image at which it is fully blurred and has fully become the median colour."""


def warp(image: Pixels, matrix: Floats, width: int, height: int, border: Border) -> Pixels:
    """Resample an image under a similarity.

    Enlarging interpolates bicubically. Shrinking averages whole blocks of pixels first and then
    samples twice as finely as the output, so that fine patterns do not alias.

    Args:
        image: `[H, W, 3]` uint8.
        matrix: `[2, 3]` similarity from image pixels to output pixels.
        width: Output width in pixels.
        height: Output height in pixels.
        border: What lies outside the image: `black`, its `edge` pixels, or its mirror image
            made ever softer (`soft`).

    Returns:
        `[height, width, 3]` uint8.

    Raises:
        BadImage: The output covers nothing of the image, or very much more than it.
    """
    require_near(image, matrix, width, height)
    zoom = zoom_of(matrix)
    block = max(1, math.floor(1 / zoom))
    small = np.asarray(Image.fromarray(image).reduce(block))
    back = inverse(matrix)
    back[:, 2] -= (block - 1) / 2
    back /= block
    low, high = bounds(back, width, height)
    columns, rows = (np.arange(a - 2, b + 3) for a, b in zip(low, high, strict=True))
    cut = Image.fromarray(_cut(small, columns, rows, border))
    if border == "soft":
        side = max(width, height) / zoom / block
        cut = _soften(cut, _outside(small, columns, rows) / side, BLUR * side)
    back[:, 2] -= columns[0], rows[0]
    return _sample(cut, back, width, height, fine=1 if zoom >= 1 else 2)


def _sample(cut: Image.Image, back: Floats, width: int, height: int, fine: int) -> Pixels:
    """Sample `cut` at `back` of each output pixel, `fine` x `fine` samples in each."""
    return np.asarray(bicubic(cut, back, width, height, fine).reduce(fine))


def bicubic(
    image: Image.Image, back: Floats, width: int, height: int, fine: int = 1
) -> Image.Image:
    """Pillow's bicubic samples of an image, `fine` x `fine` for each output pixel.

    Args:
        image: Large enough for every sample and two pixels around it; outside it is black.
        back: `[2, 3]` similarity from output pixels to image pixels.
        width: Output width in pixels.
        height: Output height in pixels.
        fine: Samples along each side of an output pixel.

    Returns:
        The samples, `width * fine` by `height * fine` pixels.
    """
    linear, shift = back[:, :2], back[:, 2]
    # Pillow measures from the corner of the first pixel, we from its centre.
    origin = shift + 0.5 - linear @ np.array([0.5, 0.5])
    a, b, d, e = (linear / fine).ravel()
    return image.transform(
        (width * fine, height * fine),
        Image.Transform.AFFINE,
        (a, b, origin[0], d, e, origin[1]),
        resample=Image.Resampling.BICUBIC,
    )


def _cut(
    image: Pixels, columns: NDArray[np.int_], rows: NDArray[np.int_], border: Border
) -> Pixels:
    """The pixels at these columns and rows, which may lie outside the image."""
    height, width = image.shape[:2]
    fold = _mirrored if border == "soft" else _clamped
    cut = image[np.ix_(fold(rows, height), fold(columns, width))]
    if border == "black":
        cut[(rows < 0) | (rows >= height)] = 0
        cut[:, (columns < 0) | (columns >= width)] = 0
    return cut


def _clamped(index: NDArray[np.int_], length: int) -> NDArray[np.int_]:
    return index.clip(0, length - 1)


def _mirrored(index: NDArray[np.int_], length: int) -> NDArray[np.int_]:
    period = max(1, 2 * (length - 1))
    folded = index % period
    mirrored: NDArray[np.int_] = np.minimum(folded, period - folded)
    return mirrored


def _outside(image: Pixels, columns: NDArray[np.int_], rows: NDArray[np.int_]) -> Floats:
    """Distance of these columns and rows from the image, `[rows, columns]`; 0 inside."""
    height, width = image.shape[:2]
    across = np.maximum(-columns, columns - (width - 1)).clip(0)
    down = np.maximum(-rows, rows - (height - 1)).clip(0)
    distance: Floats = np.maximum(across[None, :], down[:, None]).astype(np.float64)
    return distance


def _soften(cut: Image.Image, distance: Floats, sigma: float) -> Image.Image:
    """Blur, then fade to the median colour, with the distance in sides of the crop."""
    if not distance.any():
        return cut
    sharp = np.asarray(cut, dtype=np.float64)
    blurred = np.asarray(cut.filter(ImageFilter.GaussianBlur(sigma)), dtype=np.float64)
    median = np.median(sharp.reshape(-1, 3), axis=0)
    soft = sharp + (blurred - sharp) * (distance / BLUR_WITHIN).clip(0, 1)[..., None]
    soft += (median - soft) * (distance / FADE_WITHIN).clip(0, 1)[..., None]
    return Image.fromarray(np.rint(soft).astype(np.uint8))


# ------------------------------------------------------------------------------------- geometry
def transform(matrix: Floats, points: Floats) -> Floats:
    """Points `[..., 2]` under a matrix."""
    moved: Floats = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def inverse(matrix: Floats) -> Floats:
    """The matrix that leads back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def zoom_of(matrix: Floats) -> float:
    """How many output pixels a matrix makes of the length of an input pixel."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def bounds(back: Floats, width: int, height: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The least and greatest whole `(x, y)` around an image of this size under a matrix."""
    right, bottom = width - 0.5, height - 0.5
    corners = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    moved = transform(back, corners)
    return np.floor(moved.min(axis=0)).astype(int), np.ceil(moved.max(axis=0)).astype(int)


def require_near(image: Pixels, matrix: Floats, width: int, height: int) -> None:
    """Refuse a matrix under which the output has little to do with the image.

    Raises:
        BadImage: The output covers nothing of the image, or very much more than it.
    """
    limits = np.array(image.shape[1::-1])
    low, high = bounds(inverse(matrix), width, height)
    apart = (high < 0).any() or (low >= limits).any()
    if apart or (high - low).max() > REACH * limits.max():
        raise BadImage(
            "The face cannot be cropped: its landmarks do not fit the image.",
            why=f"The crop would span x {low[0]} to {high[0]}, y {low[1]} to {high[1]} "
            f"of an image of {limits[0]} x {limits[1]} pixels.",
        )
