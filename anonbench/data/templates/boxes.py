"""Templates that are cut around a face's box, upright."""

import numpy as np

from anonbench.data.templates.base import Template, checked, similarity
from anonbench.data.warp import Floats
from anonbench.errors import BadImage
from anonbench.values import Face


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
        centre, side = _around_landmarks(face, 1.25 * 1.1, box_grow=1.25, box_lower=0.12)
        return _square_to_crop(centre, side, self.size, across=self.size - 1)


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


class FsaNet(Template):
    """The loose crop that FSA-Net (Yang et al. 2019) learnt from, made a square.

    The authors' `data/type1/TYY_create_db_type1.py` (shamangary/FSA-Net) adds 0.6 of its sides to
    the 68 landmarks' box on every side, and stretches it; here it is a square around the same
    centre, 2.2 times as large as the mean of width and height. Of a detector that finds no 68
    landmarks it is estimated from the box: in 51 images of LFW, the landmarks' box was 0.89 times
    as large as MTCNN's and its centre 0.165 lower. Outside the image its edge pixels go on.
    """

    family = "fsanet"
    border = "edge"

    def matrix(self, face: Face) -> Floats:
        """The similarity that takes the square to the crop; see the class."""
        centre, side = _around_landmarks(face, 2.2, box_grow=2.2 * 0.89, box_lower=0.165)
        return _square_to_crop(centre, side, self.size, across=self.size)


class FrPose(Template):
    """A close crop for the head pose file of npm's `faceplugin-face-recognition-js`.

    A square around a detector's box, 1.2 times as large as the mean of its sides. The package
    itself takes 1.5 times the box of its own detector. Measured on 75 faces of LFW with dlib's
    boxes, that is at the edge of what the file can do: the yaw of a mirrored face, which should be
    the negative, was off by 5 degrees on average, by 25 in Hopenet's still looser crop, and by 3
    to 4 anywhere between 1.0 and 1.35. Outside the image its edge pixels go on.
    """

    family = "frpose"
    border = "edge"

    def matrix(self, face: Face) -> Floats:
        """The similarity that takes the square to the crop; see the class."""
        low, high = face.box.reshape(2, 2)
        side = 1.2 * _sides(low, high).mean()
        return _square_to_crop((low + high) / 2, side, self.size, across=self.size)


def _around_landmarks(
    face: Face, grow: float, *, box_grow: float, box_lower: float
) -> tuple[Floats, float]:
    """Centre and side of a square around the 68 landmarks, or the box where there are none.

    Args:
        face: A face.
        grow: The side as a multiple of the mean of width and height of the landmarks' box.
        box_grow: The same of the detector's box, for a face without 68 landmarks.
        box_lower: By how many such means the centre is then lower than the box's.

    Raises:
        BadImage: The box is empty.
    """
    if face.points68 is None:
        low, high = face.box.reshape(2, 2)
        grow, lower = box_grow, box_lower
    else:
        low, high = face.points68.min(axis=0), face.points68.max(axis=0)
        lower = 0.0
    mean_side = float(_sides(low, high).mean())
    return (low + high) / 2 + (0, lower * mean_side), grow * mean_side


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
