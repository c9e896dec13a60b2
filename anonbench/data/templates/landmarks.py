"""Templates that are cut by a face's landmarks."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonbench.data.templates.base import (
    Template,
    checked,
    complex_of,
    least_squares,
    require_apart,
    similarity,
)
from anonbench.data.warp import Border, Floats, Pixels, require_near
from anonbench.errors import BadImage
from anonbench.values import Face

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

D3DFR_POINTS: Floats = np.array(
    [
        [-0.31148657, 0.29036078, 0.13377953],
        [0.30979887, 0.28972036, 0.13179526],
        [0.0032535, -0.04617932, 0.55244243],
        [-0.25216928, -0.38133916, 0.22405732],
        [0.2484662, -0.38128236, 0.22235769],
    ]
)
"""Eye centres, nose tip and mouth corners of Deep3DFaceRecon's standard face, `[5, 3]`, y up.

The unit is a tenth of a metre, about. This is what the authors' `load_lm3d` makes of the 68 points
of BFM 2009's mean face in similarity_Lm3D_all.mat. The file may not be passed on; several public
ports print the five points, and agree in every digit (`lm3d_std` in ONNX and C++ ports of
3DDFA-V3, the comment above `align_img` in ports of Microsoft's preprocess_img.py).
"""

D3DFR_SCALE = 102 / 224
"""Units of that face in sides of the crop: `rescale_factor` over `target_size`."""


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
    border: ClassVar[Border] = "soft"

    def matrix(self, face: Face) -> Floats:
        """The similarity that takes the oriented square to the crop; see the class."""
        if face.whole is not None:
            return self._scaling(face.whole)
        left, right, _, mouth_left, mouth_right = complex_of(face.points5)
        eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
        across, down = right - left, mouth - eyes
        require_apart(across, down)
        axis = across - 1j * down
        half = max(2.0 * abs(across), 1.8 * abs(down)) * axis / max(abs(axis), 1e-9)
        turn = self.size / (2 * half)
        middle = (self.size - 1) / 2 * (1 + 1j)
        return checked(similarity(turn, middle - turn * (eyes + 0.1 * down)), self.size)

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
        return similarity(zoom, (zoom - 1) / 2 * (1 + 1j))


class ArcFace(Template):
    """The alignment of ArcFace (Deng et al. 2019): five points to their places, least squares.

    Outside the image is black, as in the crops that recognisers were trained on. Sizes other
    than 112 scale the whole crop.
    """

    family = "arcface"

    def matrix(self, face: Face) -> Floats:
        """The similarity with the least squared distance between the five points."""
        places = complex_of((ARCFACE_112 + 0.5) * (self.size / 112) - 0.5)
        return checked(least_squares(_five(face), places), self.size)


class D3dfr(Template):
    """The alignment of Deep3DFaceRecon (Deng et al. 2019): upright, by five points in space.

    A scaled orthographic camera is fitted, by least squares for each image axis apart, that takes
    the standard face's points to the face's (`POS` in util/preprocess.py of
    sicxu/Deep3DFaceRecon_pytorch). The crop is moved and scaled so that the standard face's origin
    lies in its centre and its unit, the mean of both axes', takes `D3DFR_SCALE` of its side; it is
    not turned. Unlike there, nothing is cut down to whole pixels. Outside the image is black.
    """

    family = "d3dfr"

    def matrix(self, face: Face) -> Floats:
        """The translation and scaling that the fitted camera asks for."""
        _five(face)
        standard = np.column_stack([D3DFR_POINTS, np.ones(len(D3DFR_POINTS))])
        camera, *_ = np.linalg.lstsq(standard, face.points5)
        unit = np.linalg.norm(camera[:3], axis=0).mean()
        zoom = D3DFR_SCALE * self.size / unit
        middle = (self.size - 1) / 2 * (1 + 1j)
        return checked(similarity(zoom, middle - zoom * complex(*camera[3])), self.size)


class Ciagan(Template):
    """The crop of CIAGAN (Maximov et al. 2020) around the middle between the eyes' inner corners.

    It is upright, and its side is 80/9 times as long as the inner corners lie apart along a row:
    source/process_data.py of dvl-tum/ciagan cuts out ten such distances from top to bottom,
    source/util_data.py keeps the middle 128 of 144 rows. Those scripts take 178/218 of that in
    width and stretch it to a square; here the crop is a square of the image, so that faces keep
    their proportions, and whoever wants the stretched middle takes it out of the crop. Unlike
    there, nothing is cut down to whole pixels. Outside the image its edge pixels go on.

    Where a detector finds no 68 landmarks, the distance is estimated from the eyes' centres.
    """

    family = "ciagan"
    border = "edge"

    SIDE: ClassVar[float] = 10 * 128 / 144
    INNER: ClassVar[float] = 0.6
    """How far the inner corners lie apart, in distances of the eyes' centres: the median of 60
    images of deep-funneled LFW with dlib's landmarks; nine in ten lie between 0.57 and 0.64."""

    def matrix(self, face: Face) -> Floats:
        """The translation and scaling that the eyes ask for; see the class."""
        if face.points68 is None:
            left, right = complex_of(face.points5[:2])
            apart = (right - left).real * self.INNER
        else:
            left, right = complex_of(face.points68[[39, 42]])
            apart = (right - left).real
        require_apart(max(apart, 0.0), 1)
        zoom = self.size / (self.SIDE * apart)
        middle = (self.size - 1) / 2 * (1 + 1j)
        return checked(similarity(zoom, middle - zoom * (left + right) / 2), self.size)


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
        return checked(similarity(turn, middle - turn * centre), self.size)

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


def _five(face: Face) -> NDArray[np.complex128]:
    """The five landmarks, where they are apart."""
    left, right, _, mouth_left, mouth_right = points = complex_of(face.points5)
    require_apart(right - left, (mouth_left + mouth_right - left - right) / 2)
    return points


def _dlib_shape(face: Face) -> object:
    """The record dlib keeps of five landmarks."""
    import dlib

    if face.dlib5 is None:
        raise BadImage(
            "The face has no landmarks of dlib's 5-point predictor.",
            why="The matrix of a dlib template follows from these alone.",
            mend="Detect with dlib-hog.",
        )
    right, _, left, _, nose = points = complex_of(np.rint(face.dlib5))
    require_apart(right - left, nose - (left + right) / 2)
    parts = [dlib.point(int(point.real), int(point.imag)) for point in points]
    return dlib.full_object_detection(dlib.rectangle(0, 0, 1, 1), parts)
