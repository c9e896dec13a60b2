"""Face alignment: named, versioned templates that cut a square face crop out of an image.

A template name is `FAMILY-SIZE`, such as `ffhq-256`. Every template is a similarity from image
pixels to crop pixels, both with pixel centres at whole numbers, so the centre of a crop of size
S is `((S - 1) / 2, (S - 1) / 2)`. Matrices are `[2, 3]` float64 and act on columns `(x, y, 1)`.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonbench.data.warp import (
    Border,
    Floats,
    Pixels,
    bounds,
    inverse,
    require_near,
    transform,
    warp,
    zoom_of,
)
from anonbench.errors import BadImage, UserError
from anonbench.interfaces import Face

ARCFACE_112: Floats = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where ArcFace puts eyes, nose tip and mouth corners in its 112 x 112 crop."""

SMALLEST, LARGEST = 8, 4096
"""Sizes of a crop in pixels that a template name may ask for."""

FEATHER = 0.05
"""Width of the border over which a pasted crop fades in, in sides of the crop."""


# ------------------------------------------------------------------------------------ templates
class Template(ABC):
    """A way to cut a face out of an image.

    Attributes:
        name: `FAMILY-SIZE`.
        version: Bumped whenever the same face may give another crop; recorded in results.
        size: Side of the crop in pixels.
    """

    family: ClassVar[str]
    version: ClassVar[int] = 1
    border: ClassVar[Border] = "black"

    def __init__(self, size: int) -> None:
        self.name, self.size = f"{self.family}-{size}", size

    @abstractmethod
    def matrix(self, face: Face) -> Floats:
        """The similarity from image pixels to crop pixels.

        Args:
            face: A face in image pixels.

        Returns:
            `[2, 3]` float64.

        Raises:
            BadImage: The landmarks coincide, so they fix no similarity.
        """

    def crop(self, image: Pixels, face: Face) -> Pixels:
        """The aligned crop, antialiased where it shrinks.

        Args:
            image: `[H, W, 3]` uint8 RGB.
            face: A face in this image's pixels.

        Returns:
            `[size, size, 3]` uint8 RGB.

        Raises:
            BadImage: The landmarks coincide, or lie far outside the image.
        """
        return warp(image, self.matrix(face), self.size, self.size, self.border)


class Ffhq(Template):
    """The alignment of FFHQ (Karras et al. 2019, appendix A), from eye and mouth centres.

    The crop's half side is `max(2 |eye_to_eye|, 1.8 |eye_to_mouth|)` and points along
    `eye_to_eye - rot90(eye_to_mouth)`; its centre is `eyes + 0.1 eye_to_mouth`. What lies
    outside the image is mirrored and grows softer with distance; unlike in FFHQ's own files,
    pixels inside the image are never softened, so that they survive being pasted back.

    An image that is such a crop already (`face.whole`) is taken as it is: its landmarks do not
    count, and another size of it is Pillow's Lanczos reduction, as FFHQ's own files are made.
    """

    family = "ffhq"
    border = "soft"

    def matrix(self, face: Face) -> Floats:
        """The similarity that takes the oriented square to the crop; see the class."""
        if face.whole is not None:
            return self._scaling(face.whole)
        left, right, _, mouth_left, mouth_right = _complex(face.points5)
        eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
        across, down = right - left, mouth - eyes
        _require_apart(across, down)
        axis = across - 1j * down
        half = max(2.0 * abs(across), 1.8 * abs(down)) * axis / max(abs(axis), 1e-9)
        turn = self.size / (2 * half)
        middle = (self.size - 1) / 2 * (1 + 1j)
        return _checked(_similarity(turn, middle - turn * (eyes + 0.1 * down)), self.size)

    def crop(self, image: Pixels, face: Face) -> Pixels:
        """The aligned crop, antialiased where it shrinks; an aligned image as a whole."""
        if face.whole is None:
            return super().crop(image, face)
        self._scaling(face.whole)
        width, height = face.whole.tolist()
        size, box = (self.size, self.size), (0, 0, width, height)
        return np.array(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, box))

    def _scaling(self, whole: Floats) -> Floats:
        """The scaling of an aligned image, edge to edge."""
        width, height = whole.tolist()
        if width != height:
            raise BadImage(
                f"The image of {width:g} x {height:g} pixels is not square, "
                "so it is no FFHQ-aligned crop, as its dataset says."
            )
        zoom = self.size / width
        return _similarity(zoom, (zoom - 1) / 2 * (1 + 1j))


class ArcFace(Template):
    """The alignment of ArcFace (Deng et al. 2019): five points to their places, least squares.

    Outside the image is black, as in the crops that recognisers were trained on. Sizes other
    than 112 scale the whole crop.
    """

    family = "arcface"

    def matrix(self, face: Face) -> Floats:
        """The similarity with the least squared distance between the five points."""
        left, right, _, mouth_left, mouth_right = points = _complex(face.points5)
        _require_apart(right - left, (mouth_left + mouth_right - left - right) / 2)
        places = _complex((ARCFACE_112 + 0.5) * (self.size / 112) - 0.5)
        return _checked(_least_squares(points, places), self.size)


class Dlib(Template):
    """dlib's own face chip from its five landmarks, with padding 0.25.

    The pixels are those of `dlib.get_face_chip`. dlib keeps landmarks as whole pixels, so those
    of a mapped face are rounded. Where a face has no `dlib5`, `crop` runs dlib's predictor in
    the face's box; `matrix` cannot, as it sees no image.
    """

    family = "dlib"
    padding: ClassVar[float] = 0.25

    def matrix(self, face: Face) -> Floats:
        """The similarity of dlib's chip details, which map corner pixels to corner pixels."""
        import dlib

        details = dlib.get_face_chip_details(_dlib_shape(face), self.size, self.padding)
        rect = details.rect
        # Not rect.dcenter(): in Python it comes rounded to whole pixels.
        centre = complex(rect.left() + rect.right(), rect.top() + rect.bottom()) / 2
        turn = (self.size - 1) / (rect.right() - rect.left()) * np.exp(-1j * details.angle)
        middle = (self.size - 1) / 2 * (1 + 1j)
        return _checked(_similarity(turn, middle - turn * centre), self.size)

    def crop(self, image: Pixels, face: Face) -> Pixels:
        """The chip of dlib, pixel for pixel."""
        import dlib

        if face.dlib5 is None:
            from anonbench.judges.dlib_hog import fit

            face = replace(face, dlib5=fit("dlib-shape-predictor-5", image, face.box))
        require_near(image, self.matrix(face), self.size, self.size)
        pixels = np.ascontiguousarray(image)
        chip: Pixels = dlib.get_face_chip(pixels, _dlib_shape(face), self.size, self.padding)
        return chip


FAMILIES: dict[str, type[Template]] = {kind.family: kind for kind in (Ffhq, ArcFace, Dlib)}


@cache
def template(name: str) -> Template:
    """The template of a name such as `ffhq-256`, `arcface-112` or `dlib-150`.

    Raises:
        UserError: The family is unknown or the size is out of range.
    """
    match = re.fullmatch(r"([a-z]+)-([1-9]\d{0,4})", name)
    family, size = (match[1], int(match[2])) if match else ("", 0)
    if family not in FAMILIES or not SMALLEST <= size <= LARGEST:
        raise UserError(
            f"There is no alignment template named '{name}'.",
            why=f"Templates are {', '.join(f'{known}-SIZE' for known in FAMILIES)}, "
            f"with a SIZE from {SMALLEST} to {LARGEST} pixels.",
            mend="Write for example ffhq-256, arcface-112 or dlib-150.",
        )
    return FAMILIES[family](size)


# ---------------------------------------------------------------------------------------- faces
def points5_of(points68: Floats) -> Floats:
    """Eye centres, nose tip and mouth corners `[5, 2]` of 68 iBUG landmarks `[68, 2]`."""
    eyes = [points68[36:42].mean(axis=0), points68[42:48].mean(axis=0)]
    return np.stack([*eyes, points68[30], points68[48], points68[54]])


def map_face(face: Face, matrix: Floats) -> Face:
    """A face carried into the frame of a crop (or of anything that a similarity leads to).

    Landmarks are mapped as they are. The box keeps its upright sides: its centre is mapped and
    its sides are scaled, as a detector's box would be in the new frame. An aligned image stays
    one where it is only scaled, edge to edge; any other frame holds another cut of it.

    Args:
        face: A face in image pixels.
        matrix: `[2, 3]` similarity from image pixels to the new frame.
    """
    corners = face.box.reshape(2, 2)
    centre, half = corners.mean(axis=0), (corners[1] - corners[0]) / 2 * zoom_of(matrix)
    middle = transform(matrix, centre[None])[0]
    return replace(
        face,
        box=np.concatenate([middle - half, middle + half]),
        points5=transform(matrix, face.points5),
        points68=None if face.points68 is None else transform(matrix, face.points68),
        dlib5=None if face.dlib5 is None else transform(matrix, face.dlib5),
        whole=None if face.whole is None else _scaled(face.whole, matrix),
    )


def _scaled(whole: Floats, matrix: Floats) -> Floats | None:
    zoom = zoom_of(matrix)
    scaling = _similarity(zoom, (zoom - 1) / 2 * (1 + 1j))
    return np.rint(whole * zoom) if np.allclose(matrix, scaling, atol=1e-6) else None


def most_central(faces: Sequence[Face], width: int, height: int) -> Face | None:
    """The face whose box centre is nearest to the image centre, or None if there is no face.

    Of equally central faces the one with the higher score is taken.
    """
    middle = np.array([width - 1, height - 1]) / 2

    def rank(face: Face) -> tuple[float, float]:
        centre = face.box.reshape(2, 2).mean(axis=0)
        return float(np.linalg.norm(centre - middle)), -face.score

    return min(faces, key=rank, default=None)


def paste_back(image: Pixels, crop: Pixels, matrix: Floats) -> Pixels:
    """The image with a crop put back where it came from.

    The crop fades in over a border inside it (`FEATHER` of its side); pixels outside it stay as
    they are. Inside the border nothing of the old pixels is left: pasting only the crop's change
    would be exact for an unchanged crop, but would let the original's fine detail through.

    Args:
        image: `[H, W, 3]` uint8.
        crop: `[S, S, 3]` uint8.
        matrix: `[2, 3]` similarity from image pixels to crop pixels, as the template gave it.

    Returns:
        `[H, W, 3]` uint8, a new array.
    """
    height, width = image.shape[:2]
    size = crop.shape[0]
    back = inverse(matrix)
    low, high = bounds(back, size, size)
    left, top = low.clip(0, (width, height)).tolist()
    right, bottom = (high + 1).clip(0, (width, height)).tolist()
    pasted = image.copy()
    if left < right and top < bottom:
        back[:, 2] -= left, top
        patch = warp(crop, back, right - left, bottom - top, "edge")
        weight = _feather(matrix, size, np.arange(left, right), np.arange(top, bottom))[..., None]
        old = image[top:bottom, left:right]
        pasted[top:bottom, left:right] = np.rint(old + weight * (patch - old.astype(np.float64)))
    return pasted


def _feather(
    matrix: Floats, size: int, columns: NDArray[np.int_], rows: NDArray[np.int_]
) -> Floats:
    """Weight of the crop at image pixels: 0 outside it, rising to 1 within the feather."""
    inside = (matrix + np.array([0, 0, 0.5])) / size
    across, down = (a * columns + (b * rows + c)[:, None] for a, b, c in inside)
    depth = np.minimum(np.minimum(across, 1 - across), np.minimum(down, 1 - down))
    weight: Floats = np.clip(depth / FEATHER, 0, 1)
    return weight


# ------------------------------------------------------------------------------------- geometry
# A similarity of the plane is z -> turn * z + shift on complex numbers z = x + iy.
def _complex(points: Floats) -> NDArray[np.complex128]:
    return points[:, 0] + 1j * points[:, 1]


def _similarity(turn: complex, shift: complex) -> Floats:
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def _least_squares(source: NDArray[np.complex128], target: NDArray[np.complex128]) -> Floats:
    """The similarity with the least squared error (Umeyama 1991; in the plane a division)."""
    from_centre = source - source.mean()
    turn = np.vdot(from_centre, target - target.mean()) / np.vdot(from_centre, from_centre)
    return _similarity(turn, target.mean() - turn * source.mean())


# --------------------------------------------------------------------------------------- checks
def _require_apart(across: complex, down: complex) -> None:
    """Eyes from each other, and from the mouth, at least a pixel."""
    if not (abs(across) >= 1 and abs(down) >= 1):
        raise BadImage(
            "The face cannot be aligned: its landmarks coincide.",
            why=f"The eyes are {abs(across):.2f} pixels apart, the mouth {abs(down):.2f} below.",
        )


def _checked(matrix: Floats, size: int) -> Floats:
    zoom = zoom_of(matrix)
    if not (np.isfinite(matrix).all() and 0 < zoom <= size):
        raise BadImage("The face cannot be aligned: its landmarks fix no crop of a pixel or more.")
    return matrix


def _dlib_shape(face: Face) -> object:
    """The record dlib keeps of five landmarks."""
    import dlib

    if face.dlib5 is None:
        raise BadImage(
            "The face has no landmarks of dlib's 5-point predictor.",
            why="The matrix of a dlib template follows from these alone.",
            mend="Detect with dlib-hog.",
        )
    right, _, left, _, nose = points = _complex(np.rint(face.dlib5))
    _require_apart(right - left, nose - (left + right) / 2)
    parts = [dlib.point(int(point.real), int(point.imag)) for point in points]
    return dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), parts)
