"""What CIAGAN's generator is shown of a face: its landmarks as lines, and which pixels to replace.

The authors (source/process_data.py and source/util_data.py of dvl-tum/ciagan) draw on a canvas of
178 x 218 pixels, keep it as JPEG of quality 75, stretch it to 144 x 144 and take the middle 128 x
128, which is the generator's frame. The crop of the template `ciagan-128` has that frame's height
and the canvas's proportions: what lies in the frame is 178/218 of the crop's width.
"""

from io import BytesIO
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

SIDE = 128
"""Side of the crop and of the generator's frame in pixels."""
CANVAS = (178, 218)
"""Width and height of what is drawn on."""

Floats = NDArray[np.float64]
Colour = Literal["red", "blue"]

_STRETCHED = 144  # what the canvas is stretched to before its border is cut off
_BORDER = (_STRETCHED - SIDE) // 2
_NARROWER = CANVAS[0] / CANVAS[1]
_JPEG_QUALITY = 75  # Pillow's own, which the authors left as it was
_LEAST = 0.2  # how black a pixel of the mask's drawing must be
_JAW, _NOSE_RIDGE, _INNER_LIPS = range(17), range(27, 31), (*range(60, 68), 60)
_LEFT_BROW, _RIGHT_BROW = 19, 24


def draw_landmarks(points: Floats, colour: Colour = "red") -> Image.Image:
    """Jaw, nose ridge and inner lips on the canvas, lines of one pixel on white.

    Args:
        points: 68 iBUG landmarks `[68, 2]` in pixels of the crop.
        colour: Of the lines.
    """
    canvas = Image.new("RGB", CANVAS, "white")
    pen = ImageDraw.Draw(canvas)
    for part in (_JAW, _NOSE_RIDGE, _INNER_LIPS):
        pen.line(_on_canvas(points[list(part)]), fill=colour, width=1)
    return canvas


def draw_mask(points: Floats) -> Image.Image:
    """The face as a black polygon on the white canvas.

    It follows the jaw from ear to ear and goes back at the height of the brows.

    Args:
        points: 68 iBUG landmarks `[68, 2]` in pixels of the crop.
    """
    canvas = Image.new("RGB", CANVAS, "white")
    jaw = points[list(_JAW)]
    corners = [[jaw[0, 0], points[_LEFT_BROW, 1]], [jaw[-1, 0], points[_RIGHT_BROW, 1]]]
    outline = np.concatenate([corners[:1], jaw, corners[1:]])
    ImageDraw.Draw(canvas).polygon(_on_canvas(outline), fill="black")
    return canvas


def landmark_image(points: Floats, colour: Colour = "red") -> Tensor:
    """The drawing of the landmarks in the generator's frame, `[3, 128, 128]` in `[0, 1]`."""
    return _framed(draw_landmarks(points, colour))


def face_mask(points: Floats) -> Tensor:
    """1 where the face is to be replaced, else 0: `[1, 128, 128]` in the generator's frame."""
    return (1 - _framed(draw_mask(points))[:1] > _LEAST).float()


def to_frame(crops: Tensor) -> Tensor:
    """The middle of crops `[B, C, 128, 128]`, stretched to the generator's frame."""
    return _spread(crops, _NARROWER, "bicubic", "border")


def to_crop(images: Tensor) -> Tensor:
    """Images of the generator's frame, made narrow again; beside the frame, its edge goes on."""
    return _spread(images, 1 / _NARROWER, "bicubic", "border")


def mask_to_crop(masks: Tensor) -> Tensor:
    """Masks of the generator's frame in the crop, as hard as they were; 0 beside the frame."""
    return _spread(masks, 1 / _NARROWER, "nearest", "zeros")


def _on_canvas(points: Floats) -> list[tuple[int, int]]:
    """Pixels of the canvas at places of the crop; the centres of both coincide."""
    scale = CANVAS[1] / _STRETCHED
    placed = np.floor((points + 0.5 - SIDE / 2) * scale + np.array(CANVAS) / 2).astype(int)
    return [(int(x), int(y)) for x, y in placed]


def _framed(canvas: Image.Image) -> Tensor:
    """The canvas as the authors' loader reads it."""
    kept = BytesIO()
    canvas.save(kept, "JPEG", quality=_JPEG_QUALITY)
    stretched = Image.open(kept).resize((_STRETCHED, _STRETCHED), Image.Resampling.LANCZOS)
    end = _BORDER + SIDE
    pixels = np.array(stretched.crop((_BORDER, _BORDER, end, end)))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def _spread(images: Tensor, share: float, mode: str, beyond: str) -> Tensor:
    """The middle `share` of images' width, as wide as they were."""
    matrix = images.new_tensor([[share, 0, 0], [0, 1, 0]]).expand(len(images), -1, -1)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode, beyond, align_corners=False)
