"""Templates that are cut around a face's box, upright."""

import numpy as np

from anonbench.data.templates.base import Template, checked, similarity
from anonbench.data.warp import Floats
from anonbench.errors import BadImage
from anonbench.interfaces import Face


class Deca(Template):
    """The crop of DECA (Feng et al. 2021), as its public code cuts test images.

    A square 1.375 times as large as the mean of width and height of the 68 landmarks' box, around
    its centre; corner pixels lie on the square's corners. Of a detector that finds no 68
    landmarks, DECA takes the box itself: a square 1.25 times as large, its centre 0.12 lower.
    Unlike there, the square's side is not cut down to whole pixels. Outside the image is black.
    """

    family = "deca"

    def matrix(self, face: Face) -> Floats:
        """The similarity that takes the square to the crop; see the class."""
        if face.points68 is None:
            low, high = face.box.reshape(2, 2)
            grow, lower = 1.25, 0.12
        else:
            low, high = face.points68.min(axis=0), face.points68.max(axis=0)
            grow, lower = 1.25 * 1.1, 0.0
        mean_side = _sides(low, high).mean()
        centre = (low + high) / 2 + (0, lower * mean_side)
        return _square_to_crop(centre, grow * mean_side, self.size, across=self.size - 1)


class Hopenet(Template):
    """The loose crop of Hopenet (Ruiz et al. 2018) around a detector's box.

    Half a width is added left and right, three quarters of the height above and a quarter below,
    as in `code/test_on_video_dlib.py` of natanielruiz/deep-head-pose; of what is not a square, the
    middle is taken. That code cuts off what lies outside the image and so magnifies the rest;
    here the edge pixels continue there, and a face has the same size wherever it is.
    """

    family = "hopenet"
    border = "edge"

    def matrix(self, face: Face) -> Floats:
        """The similarity that takes the square to the crop; see the class."""
        low, high = face.box.reshape(2, 2)
        sides = _sides(low, high)
        centre = (low + high) / 2 - (0, sides[1] / 4)
        return _square_to_crop(centre, 2 * sides.min(), self.size, across=self.size)


def _sides(low: Floats, high: Floats) -> Floats:
    """Width and height of a box.

    Raises:
        BadImage: One is less than a pixel.
    """
    sides = high - low
    if not (sides >= 1).all():
        raise BadImage(
            "The face cannot be cropped: its box is empty.",
            why=f"It is {sides[0]:.2f} pixels wide and {sides[1]:.2f} high.",
        )
    return sides


def _square_to_crop(centre: Floats, side: float, size: int, *, across: float) -> Floats:
    """The similarity that takes an upright square to a crop of a size.

    Args:
        centre: `[2]`, which goes to the crop's centre.
        side: Of the square, in image pixels.
        size: Of the crop, in pixels.
        across: Crop pixels that the side is to take up.

    Raises:
        BadImage: The crop would cover less than a pixel.
    """
    zoom = across / side
    shift = (size - 1) / 2 - zoom * np.asarray(centre)
    return checked(similarity(zoom, complex(*shift)), size)
