"""How far what a judge says of one crop is from what it says of another."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from anonbench.errors import BadConfig
from anonbench.metrics.geometry import (
    EYES,
    PointNorm,
    VectorDistances,
    angle_distances,
    point_distances,
    procrustes_residual,
    vector_distances,
)

SIDE = 256
"""Distances in pixels are those in a crop of this side, which is the papers' own."""

Floats = NDArray[np.float64]
Values = Mapping[str, NDArray[np.floating]]


def distances(first: Values, second: Values, side: int, norm: PointNorm) -> dict[str, float]:
    """Every distance that the traits of a judge allow, by the name of its metric.

    Args:
        first: Traits `[D]` of the reference, as `JudgeCard.traits` defines them.
        second: The same traits of another crop.
        side: Side of the crops in pixels.
        norm: How the distances of landmarks become one; see `point_distances`. The corners of a
            box have no eyes, so its distance is `mean_l2` where this is `nme`.

    Returns:
        A distance is NaN where a trait is.

    Raises:
        BadConfig: `nme` is asked of landmarks of which it is not known which are the eyes.
    """
    scale = SIDE / side
    told: dict[str, float] = {}
    if "box" in first:
        corners = _points(first["box"]) * scale, _points(second["box"]) * scale
        of_box: PointNorm = "mean_l2" if norm == "nme" else norm
        told["box-distance"] = float(point_distances(*corners, norm=of_box))
    if "points" in first:
        points = _points(first["points"]) * scale, _points(second["points"]) * scale
        _require_eyes(len(points[0]), norm)
        told["landmark-distance"] = float(point_distances(*points, norm=norm))
    for trait, (metric, compare) in CODES.items():
        if trait in first:
            found = compare(_floats(first[trait]), _floats(second[trait]))
            told[f"{metric}-l2"] = float(found.l2)
            told[f"{metric}-l2-squared"] = float(found.squared_l2)
            told[f"{metric}-mae"] = float(found.mae)
    return told


def mesh_distances(a: Floats, b: Floats) -> VectorDistances:
    """Distances `[]` of two meshes `[3V]` of which position, size and rotation are taken out.

    Equal meshes are 0 apart, which a rotation would give only up to rounding.
    """
    unknown = not (np.isfinite(a).all() and np.isfinite(b).all())
    if unknown or np.array_equal(a, b):
        return vector_distances(a, b)
    residual = procrustes_residual(a.reshape(-1, 3), b.reshape(-1, 3)).ravel()
    return vector_distances(np.zeros_like(residual), residual)


CODES: dict[str, tuple[str, Callable[[Floats, Floats], VectorDistances]]] = {
    "mesh": ("shape", mesh_distances),
    "shape": ("shape", vector_distances),
    "expression": ("expression", vector_distances),
    "pose": ("pose", angle_distances),
}
"""Per trait what its metrics are called and how it is compared; shape codes go before a mesh."""


def _require_eyes(points: int, norm: PointNorm) -> None:
    if norm == "nme" and points not in EYES:
        raise BadConfig(
            f"The inter-ocular distance is not known of {points} landmarks.",
            why=f"It is known of {', '.join(map(str, EYES))}.",
            mend="Take another norm: --protocol utility:points=mean_l2",
        )


def _points(values: NDArray[np.floating]) -> Floats:
    return _floats(values).reshape(-1, 2)


def _floats(values: NDArray[np.floating]) -> Floats:
    return np.asarray(values, np.float64)
