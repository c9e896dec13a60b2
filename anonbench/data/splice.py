"""Crops spliced into a photo so that they can be cut out of it again, pixel for pixel.

`anonbench.data.align.paste_back` resamples a crop, which changes nearly every least significant
bit, and fades it in over its own border, which is lost. A method that hides bits in its crop
loses them there. Here

* the whole crop stands in the photo; it is the photo around it that is faded: in a ring outside
  the crop, the change at the crop's edge is added and dies away;
* the pixels are then corrected until bicubic samples of the photo, rounded, are the crop's own.
  The corrections are an interpolation of what the samples lack, with random strengths, which
  keeps rounding from running in circles.

This works where the crop covers more pixels of the photo than it has: measured with random least
significant bits, all come back where it is spread 1.2 times as wide as it is or more, 99.9 % at
1.1, 93 % to 99.5 % at 1.0. The photo differs from the plain resampling by 0.2 to 0.9 grey levels
on average. A crop that is shrunk cannot fit, and is left as it was resampled. Any later change of
the photo (JPEG, scaling) loses the bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonbench.data.warp import (
    Floats,
    Pixels,
    bicubic,
    bounds,
    inverse,
    require_near,
    transform,
    warp,
    zoom_of,
)

RING = 0.05
"""Width of the ring around a crop in which the photo is faded, in sides of the crop."""

STEPS = 100
"""Corrections at most; where the crop fits well, 20 to 60 do."""

_NEAR = 2
"""How far outside the crop its samples look, in pixels of the crop."""

_Reals = NDArray[np.float32]


def cut(photo: Pixels, matrix: Floats, size: int) -> Pixels:
    """The crop at a place in a photo, sampled without antialiasing.

    Args:
        photo: `[H, W, 3]` uint8.
        matrix: `[2, 3]` similarity from photo pixels to crop pixels.
        size: Side of the crop in pixels.

    Returns:
        `[size, size, 3]` uint8; beyond the photo its edge pixels count.

    Raises:
        BadImage: The place is not in the photo.
    """
    require_near(photo, matrix, size, size)
    place = _place(photo, matrix, size)
    return _cut(photo[place.window].astype(np.float32), place)


def splice(
    photo: Pixels, before: Pixels, after: Pixels, matrix: Floats, *, exactly: bool = True
) -> Pixels:
    """The photo with the crop `after` in the place where it shows the crop `before`.

    Args:
        photo: `[H, W, 3]` uint8.
        before: `[S, S, 3]` uint8, what stands there now.
        after: `[S, S, 3]` uint8, what shall stand there.
        matrix: `[2, 3]` similarity from photo pixels to crop pixels.
        exactly: Whether `cut` shall give back `after`, as far as it fits.

    Returns:
        `[H, W, 3]` uint8, a new array. Pixels outside the crop and its ring are as they were.

    Raises:
        BadImage: The place is not in the photo.
    """
    size = after.shape[0]
    require_near(photo, matrix, size, size)
    place = _place(photo, matrix, size)
    pixels = _blend(photo[place.window].astype(np.float32), before, after, place)
    if exactly and zoom_of(matrix) <= 1:
        pixels = _correct(pixels, after, place)
    spliced = photo.copy()
    spliced[place.window] = np.rint(pixels.clip(0, 255))
    return spliced


def kept(photo: Pixels, crop: Pixels, matrix: Floats) -> float:
    """Share of a crop's numbers, from 0 to 1, that `cut` gives back exactly."""
    return float((cut(photo, matrix, crop.shape[0]) == crop).mean())


def footprint(matrix: Floats, size: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """The least and greatest whole `(x, y)` of the photo that a crop and its ring touch."""
    reach = (max(RING * size, _NEAR) + 1) / zoom_of(matrix)
    low, high = bounds(inverse(matrix), size, size)
    return np.floor(low - reach).astype(int), np.ceil(high + reach).astype(int)


# --------------------------------------------------------------------------------------- details
@dataclass(frozen=True)
class _Place:
    """The part of a photo around a crop, and the similarity from its pixels to the crop's."""

    window: tuple[slice, slice]
    matrix: Floats
    size: int


def _place(photo: Pixels, matrix: Floats, size: int) -> _Place:
    low, high = (corner.clip(0, photo.shape[1::-1]) for corner in footprint(matrix, size))
    right, bottom = (high + 1).clip(0, photo.shape[1::-1])
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ low
    return _Place((slice(low[1], bottom), slice(low[0], right)), shifted, size)


def _blend(window: _Reals, before: Pixels, after: Pixels, place: _Place) -> _Reals:
    """The window with the crop in it, and with a ring of its change around it."""
    height, width = window.shape[:2]
    back = inverse(place.matrix)
    new, old = (warp(c, back, width, height, "edge").astype(np.float32) for c in (after, before))
    outside = _distance(place, width, height)[..., None]
    ring = window + (1 - outside / RING).clip(0, 1) * (new - old)
    return np.where(outside > 0, ring, new)


def _correct(pixels: _Reals, crop: Pixels, place: _Place) -> _Reals:
    """Change pixels until they give the crop when it is cut out."""
    height, width = pixels.shape[:2]
    back = inverse(place.matrix)
    near = (_distance(place, width, height) * place.size <= _NEAR)[..., None]
    seen = _seen(place, width, height)[..., None]
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        rounded = np.rint(pixels.clip(0, 255))
        lacking = (crop.astype(np.float32) - _cut(rounded, place)) * seen
        if not lacking.any():
            break
        strength = near * random.random(pixels.shape, dtype=np.float32)
        pixels = pixels + strength * _sample(lacking, back, width, height)
        pixels = pixels.clip(-2, 257)  # not far outside, from where it would be slow to return
    return pixels


def _cut(window: _Reals, place: _Place) -> Pixels:
    sampled = _sample(window, place.matrix, place.size, place.size)
    crop: Pixels = np.rint(sampled.clip(0, 255)).astype(np.uint8)
    return crop


def _sample(image: _Reals, matrix: Floats, width: int, height: int) -> _Reals:
    """Bicubic samples `[height, width, 3]` under a similarity from the image to the output."""
    back = inverse(matrix)
    low, high = bounds(back, width, height)
    columns, rows = (
        np.arange(first - 2, last + 3).clip(0, length - 1)
        for first, last, length in zip(low, high, image.shape[1::-1], strict=True)
    )
    back[:, 2] -= low - 2
    around = image[np.ix_(rows, columns)]
    planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(around, 2, 0))
    return np.stack([np.asarray(bicubic(p, back, width, height)) for p in planes], axis=2)


def _distance(place: _Place, width: int, height: int) -> _Reals:
    """Distance `[height, width]` of the window's pixels from the crop, in its sides; 0 inside."""
    columns, rows = np.arange(width), np.arange(height)[:, None]
    inside = (place.matrix + np.array([0, 0, 0.5])) / place.size
    across, down = (a * columns + (b * rows + c) for a, b, c in inside)
    out = np.hypot(*(np.maximum(np.maximum(-x, x - 1), 0) for x in (across, down)))
    distance: _Reals = out.astype(np.float32)
    return distance


def _seen(place: _Place, width: int, height: int) -> NDArray[np.bool_]:
    """Which crop pixels `[size, size]` lie on the photo."""
    steps = np.arange(place.size, dtype=np.float64)
    found = transform(inverse(place.matrix), np.stack(np.meshgrid(steps, steps), axis=2))
    inside: NDArray[np.bool_] = np.all((found >= 0) & (found <= (width - 1, height - 1)), axis=2)
    return inside
