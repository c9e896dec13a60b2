"""Face alignment: named, versioned templates that cut a square face crop out of an image.

A template name is `FAMILY-SIZE`, such as `ffhq-256`; the families are in
`anonbench.data.templates`. Every template (but `facenet`, which stretches) is a similarity from
image pixels to crop pixels, both with pixel centres at whole numbers, so the centre of a crop of
size S is `((S - 1) / 2, (S - 1) / 2)`. Matrices are `[2, 3]` float64 and act on columns
`(x, y, 1)`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from anonbench.data.templates.base import Template, similarity
from anonbench.data.templates.boxes import Deca, FrPose, FsaNet, Hopenet
from anonbench.data.templates.facenet import FaceNet
from anonbench.data.templates.frame import Fit
from anonbench.data.templates.landmarks import ArcFace, Ciagan, D3dfr, Dlib, Ffhq
from anonbench.data.warp import Floats, Pixels, bounds, inverse, transform, warp, zoom_of
from anonbench.errors import UserError
from anonbench.values import Face

SMALLEST, LARGEST = 8, 4096
"""Sizes of a crop in pixels that a template name may ask for."""

FEATHER = 0.05
"""Width of the border over which a pasted crop fades in, in sides of the crop."""

FAMILIES: dict[str, type[Template]] = {
    kind.family: kind
    for kind in (
        Ffhq,
        ArcFace,
        Dlib,
        FaceNet,
        D3dfr,
        Deca,
        Hopenet,
        FsaNet,
        FrPose,
        Ciagan,
        Fit,
    )
}


@cache
def template(name: str) -> Template:
    """The template of a name such as `ffhq-256`, `arcface-112` or `dlib-150`.

    Raises:
        UserError: The family is unknown or the size is out of range.
    """
    match = re.fullmatch(r"([a-z][a-z0-9]*)-([1-9]\d{0,4})", name)
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
    scaling = similarity(zoom, (zoom - 1) / 2 * (1 + 1j))
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
