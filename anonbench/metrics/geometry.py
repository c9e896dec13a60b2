"""How far apart two faces are in landmarks, coefficients, angles and meshes.

Everything is computed in float64. Leading axes, if there are any, are samples. A row that is not
a number, because no face was found, gives a distance that is not one.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
PointNorm = Literal["mean_l2", "l1_mean", "stacked_l2", "nme"]

EYES = {5: (0, 1), 68: (36, 45), 468: (33, 263), 478: (33, 263)}
"""Which two points the inter-ocular distance lies between, by the number of points.

The outer eye corners, as in the 300-W challenge (Sagonas et al., 2013), in iBUG's 68 points and in
MediaPipe's mesh; the eye centres in five points, which have no corners.
"""


class VectorDistances(NamedTuple):
    """Three distances of the same vectors, each `[...]`; papers seldom say which they print.

    Attributes:
        l2: Euclidean distance.
        squared_l2: Its square.
        mae: Mean of the absolute differences.
    """

    l2: Floats
    squared_l2: Floats
    mae: Floats


def point_distances(a: ArrayLike, b: ArrayLike, *, norm: PointNorm = "mean_l2") -> Floats:
    """Distance between two sets of landmarks.

    Args:
        a: `[..., P, 2]` in pixels, the reference.
        b: The same points of the other face.
        norm: `mean_l2`: mean over points of the Euclidean distance. `l1_mean`: mean of the
            absolute differences of all coordinates. `stacked_l2`: Euclidean norm over all
            coordinates at once. `nme`: `mean_l2` over the inter-ocular distance of `a`.

    Returns:
        `[...]`, in pixels except for `nme`.

    Raises:
        ValueError: The shapes differ, or `nme` is asked of points whose eyes are not known.
    """
    first, difference = _differences(a, b)
    if norm == "l1_mean":
        return _floats(np.abs(difference).mean(axis=(-2, -1)))
    lengths = np.linalg.norm(difference, axis=-1)
    if norm == "stacked_l2":
        return _floats(np.linalg.norm(lengths, axis=-1))
    mean = lengths.mean(axis=-1)
    return _floats(mean / _inter_ocular(first) if norm == "nme" else mean)


def vector_distances(a: ArrayLike, b: ArrayLike) -> VectorDistances:
    """Distances between coefficients `[..., D]`.

    Raises:
        ValueError: The shapes differ.
    """
    return _lengths(_differences(a, b)[1])


def angle_distances(a: ArrayLike, b: ArrayLike) -> VectorDistances:
    """Distances between angles `[..., D]` in degrees, each difference taken the short way round.

    Raises:
        ValueError: The shapes differ.
    """
    difference = _differences(a, b)[1]
    return _lengths((difference + 180) % 360 - 180)


def procrustes_residual(a: ArrayLike, b: ArrayLike) -> Floats:
    """What is left between two meshes once position, size and rotation are taken out.

    Both are centred and scaled to centroid size 1 (the root of the summed squared distances from
    the centroid); then `b` is rotated onto `a` in the least-squares sense, without reflection
    (Kabsch, 1976). The norm of the residual, at most the root of 2, is the partial Procrustes
    distance of shape analysis (Dryden and Mardia, 2016).

    Args:
        a: `[V, 3]` vertices in any unit, the reference.
        b: The same vertices of the other mesh.

    Returns:
        `[V, 3]`, the rotated `b` minus `a`.

    Raises:
        ValueError: The shapes differ, or a mesh is a single point or not finite.
    """
    first, second = (_standardised(mesh) for mesh in (a, b))
    if first.shape != second.shape:
        raise ValueError(f"meshes of {first.shape} and {second.shape}")
    left, _, right = np.linalg.svd(second.T @ first)
    flip = np.ones(len(left))
    flip[-1] = np.sign(np.linalg.det(left @ right))
    return _floats(second @ (left * flip @ right) - first)


def _differences(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    """The first array and the second minus the first; nothing is broadcast."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"arrays of {first.shape} and {second.shape}")
    return first, second - first


def _lengths(difference: Floats) -> VectorDistances:
    squares = np.square(difference).sum(axis=-1)
    return VectorDistances(
        _floats(np.sqrt(squares)), _floats(squares), _floats(np.abs(difference).mean(axis=-1))
    )


def _inter_ocular(points: Floats) -> Floats:
    count = points.shape[-2]
    if count not in EYES:
        raise ValueError(f"of {count} points it is not known which are the eyes")
    left, right = EYES[count]
    return _floats(np.linalg.norm(points[..., left, :] - points[..., right, :], axis=-1))


def _standardised(mesh: ArrayLike) -> Floats:
    vertices = np.asarray(mesh, np.float64)
    centred = vertices - vertices.mean(axis=0)
    size = np.linalg.norm(centred)
    if not 0 < size < np.inf:
        raise ValueError(f"a mesh of centroid size {size}")
    return _floats(centred / size)


def _floats(values: NDArray[np.generic] | np.generic) -> Floats:
    return np.asarray(values, np.float64)
