"""Distances of landmarks, coefficients, angles and meshes, by hand and against SciPy."""

import math

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from anonbench.metrics.geometry import (
    angle_distances,
    point_distances,
    procrustes_residual,
    vector_distances,
)


def test_landmark_distances_by_hand() -> None:
    a = np.array([[0, 0], [10, 0], [5, 5], [2, 9], [8, 9]], float)
    b = a + np.array([[3, 4], [0, 0], [0, 0], [0, 5], [-5, 0]])  # lengths 5, 0, 0, 5, 5
    assert point_distances(a, b) == pytest.approx(3)
    assert point_distances(a, b, norm="l1_mean") == pytest.approx(17 / 10)
    assert point_distances(a, b, norm="stacked_l2") == pytest.approx(math.sqrt(75))
    assert point_distances(a, b, norm="nme") == pytest.approx(0.3)
    assert point_distances(b, a, norm="nme") == pytest.approx(3 / math.hypot(7, -4))


def test_landmark_distances_of_many_samples_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 256, (2, 7, 68, 2)).astype(np.float32)
    pairwise = [
        np.diag(cdist(x.astype(float), y.astype(float))).mean() for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(point_distances(a, b), pairwise, rtol=1e-12)
    cityblock = [
        cdist(x.reshape(1, -1), y.reshape(1, -1), "cityblock") for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(
        point_distances(a, b, norm="l1_mean"), np.ravel(cityblock) / 136, rtol=1e-6
    )
    stacked = np.linalg.norm((a.astype(float) - b).reshape(7, -1), axis=1)
    np.testing.assert_allclose(point_distances(a, b, norm="stacked_l2"), stacked, rtol=1e-12)


@pytest.mark.parametrize(("count", "eyes"), [(5, (0, 1)), (68, (36, 45)), (478, (33, 263))])
def test_nme_is_in_inter_ocular_distances(count: int, eyes: tuple[int, int]) -> None:
    a = np.zeros((count, 2))
    a[eyes[0]], a[eyes[1]] = (100, 100), (130, 140)
    assert point_distances(a, a + np.array((3, 4)), norm="nme") == pytest.approx(5 / 50)
    assert point_distances(2 * a, 2 * (a + np.array((3, 4))), norm="nme") == pytest.approx(5 / 50)


def test_nme_of_unknown_points_is_refused() -> None:
    with pytest.raises(ValueError, match="21 points"):
        point_distances(np.zeros((21, 2)), np.zeros((21, 2)), norm="nme")


def test_vector_distances_are_numpys() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 6, 80)).astype(np.float32)
    found = vector_distances(a, b)
    wide = a.astype(np.float64) - b.astype(np.float64)
    np.testing.assert_allclose(found.l2, np.linalg.norm(wide, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.squared_l2, np.einsum("nd,nd->n", wide, wide), rtol=1e-12)
    np.testing.assert_allclose(found.mae, np.linalg.norm(wide, 1, axis=1) / 80, rtol=1e-12)


def test_angles_are_taken_the_short_way_round() -> None:
    found = angle_distances([179.0, -10.0, 0.0], [-179.0, 5.0, 360.0])
    assert found.l2 == pytest.approx(math.hypot(2, 15))
    assert found.squared_l2 == pytest.approx(229)
    assert found.mae == pytest.approx(17 / 3)


def test_angle_distances_are_those_of_directions() -> None:
    a, b = np.random.default_rng(2).uniform(-720, 720, (2, 50, 1))
    cosine = np.cos(np.deg2rad(a)) * np.cos(np.deg2rad(b))
    sine = np.sin(np.deg2rad(a)) * np.sin(np.deg2rad(b))
    between = np.rad2deg(np.arccos(np.clip(cosine + sine, -1, 1)))[:, 0]
    np.testing.assert_allclose(angle_distances(a, b).l2, between, atol=1e-5)


def meshes(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mesh = rng.normal(size=(60, 3)) * (3, 2, 1)
    return mesh, mesh + rng.normal(scale=0.3, size=mesh.shape)


def moved(mesh: np.ndarray) -> np.ndarray:
    turn = Rotation.from_euler("zyx", [140, -35, 20], degrees=True)
    return 7.5 * turn.apply(mesh) + (4, -80, 300)


def test_a_moved_mesh_leaves_nothing() -> None:
    mesh, _ = meshes()
    np.testing.assert_allclose(procrustes_residual(mesh, moved(mesh)), 0, atol=1e-12)


def test_the_residual_ignores_place_size_and_rotation() -> None:
    mesh, other = meshes()
    expected = procrustes_residual(mesh, other)
    assert np.linalg.norm(expected) > 0.05
    np.testing.assert_allclose(procrustes_residual(mesh, moved(other)), expected, atol=1e-12)


def test_the_residual_is_that_of_scipys_kabsch_and_procrustes() -> None:
    mesh, other = meshes()
    a, b = (x - x.mean(0) for x in (mesh, moved(other)))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    turn, distance = Rotation.align_vectors(a, b)
    residual = procrustes_residual(mesh, moved(other))
    np.testing.assert_allclose(residual, turn.apply(b) - a, atol=1e-10)
    assert np.linalg.norm(residual) == pytest.approx(distance, abs=1e-10)
    # SciPy scales b as well: its disparity is 1 - s², the squared residual here 2 - 2 s.
    scale = 1 - np.square(residual).sum() / 2
    assert 1 - scale**2 == pytest.approx(procrustes(mesh, moved(other))[2], abs=1e-10)


def test_a_mirrored_mesh_is_another_shape() -> None:
    mesh, _ = meshes()
    mirrored = mesh * (-1, 1, 1)
    assert procrustes(mesh, mirrored)[2] == pytest.approx(0, abs=1e-12)
    a = (mesh - mesh.mean(0)) / np.linalg.norm(mesh - mesh.mean(0))
    _, distance = Rotation.align_vectors(a, a * (-1, 1, 1))
    found = np.linalg.norm(procrustes_residual(mesh, mirrored))
    assert found == pytest.approx(distance, abs=1e-10)
    assert found > 0.1


@pytest.mark.parametrize("bad", [np.zeros((4, 3)), np.full((4, 3), np.nan)])
def test_a_mesh_without_size_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="centroid size"):
        procrustes_residual(np.eye(4)[:, :3], bad)


@pytest.mark.parametrize("distance", [point_distances, vector_distances, angle_distances])
def test_nothing_is_broadcast(distance) -> None:
    with pytest.raises(ValueError, match="arrays of"):
        distance(np.zeros((5, 2)), np.zeros((1, 2)))


def test_a_face_that_was_not_found_has_no_distance() -> None:
    a = np.array([[0.0, 0.0], [1.0, 1.0]])
    b = np.array([[np.nan, np.nan], [1.0, 4.0]])
    np.testing.assert_array_equal(vector_distances(a, b).l2, [np.nan, 3])
    np.testing.assert_array_equal(point_distances(a[None], b[None]), [np.nan])
