"""What all alignment templates share: the class, and similarities of the plane.

A similarity of the plane is `z -> turn * z + shift` on complex numbers `z = x + iy`.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anonbench.data.warp import Border, Floats, Pixels, warp, zoom_of
from anonbench.errors import BadImage
from anonbench.values import Face


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


def complex_of(points: Floats) -> NDArray[np.complex128]:
    """Points `[N, 2]` as `[N]` complex numbers."""
    return points[:, 0] + 1j * points[:, 1]


def similarity(turn: complex, shift: complex) -> Floats:
    """The matrix `[2, 3]` of `z -> turn * z + shift`."""
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def least_squares(source: NDArray[np.complex128], target: NDArray[np.complex128]) -> Floats:
    """The similarity with the least squared error (Umeyama 1991; in the plane a division)."""
    from_centre = source - source.mean()
    turn = np.vdot(from_centre, target - target.mean()) / np.vdot(from_centre, from_centre)
    return similarity(turn, target.mean() - turn * source.mean())


def require_apart(across: complex, down: complex) -> None:
    """Refuse a face whose eyes are not a pixel from each other, and from the mouth.

    Args:
        across: From eye to eye.
        down: From the eyes to the mouth.

    Raises:
        BadImage: The landmarks coincide.
    """
    if not (abs(across) >= 1 and abs(down) >= 1):
        raise BadImage(
            "The face cannot be aligned: its landmarks coincide.",
            why=f"The eyes are {abs(across):.2f} pixels apart, the mouth {abs(down):.2f} below.",
        )


def checked(matrix: Floats, size: int) -> Floats:
    """The matrix, if a crop of this size under it covers a pixel or more.

    Raises:
        BadImage: It does not, or the matrix is not finite.
    """
    zoom = zoom_of(matrix)
    if not (np.isfinite(matrix).all() and 0 < zoom <= size):
        raise BadImage("The face cannot be aligned: its landmarks fix no crop of a pixel or more.")
    return matrix
