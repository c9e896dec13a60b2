"""The face model, on a sphere made for the purpose: BFM itself may not be passed on."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from anonbench.errors import BadData, MissingArtefact
from anonbench.nets import bfm

VERTICES = 400
DIMS = (80, 64, 80, 3, 27, 3)


def sphere() -> dict[str, np.ndarray]:
    """A unit sphere around (5, 6, 7) in the layout of BFM_model_front.mat, with random bases."""
    random = np.random.default_rng(5)
    points = random.normal(size=(VERTICES, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    hull = ConvexHull(points)
    corners = points[hull.simplices]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = (normals * corners.mean(axis=1)).sum(axis=1) < 0
    triangles = np.where(inward[:, None], hull.simplices[:, ::-1], hull.simplices)
    around = np.full((VERTICES, 8), len(triangles))
    for vertex in range(VERTICES):
        found = np.flatnonzero((triangles == vertex).any(axis=1))[:8]
        around[vertex, : len(found)] = found
    rows = 3 * VERTICES
    return {
        "meanshape": (points + np.array([5, 6, 7])).reshape(1, rows),
        "idBase": random.normal(0, 0.01, (rows, 80)),
        "exBase": random.normal(0, 0.01, (rows, 64)),
        "meantex": random.uniform(50, 200, (1, rows)),
        "texBase": random.normal(0, 2, (rows, 80)),
        "tri": triangles + 1,
        "point_buf": around + 1,
        "keypoints": random.permutation(VERTICES)[None, :68] + 1,
    }


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return sphere()


@pytest.fixture(scope="module")
def model(arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> bfm.FaceModel:
    path = tmp_path_factory.mktemp("bfm") / "BFM_model_front.mat"
    savemat(path, arrays)
    return bfm.load_face_model(path)


def random_coefficients(count: int) -> torch.Tensor:
    return torch.randn(count, sum(DIMS), generator=torch.Generator().manual_seed(3))


def test_shape_and_albedo_are_linear_in_the_coefficients(model, arrays):
    coefficients = random_coefficients(2)
    identity, expression, texture = (
        part.numpy() for part in torch.split(coefficients, list(DIMS), dim=1)[:3]
    )
    mean = arrays["meanshape"].reshape(-1, 3)
    shapes = (mean - mean.mean(axis=0)).ravel() + (
        identity @ arrays["idBase"].T + expression @ arrays["exBase"].T
    )
    albedos = (arrays["meantex"] + texture @ arrays["texBase"].T) / 255
    face = model(coefficients)
    np.testing.assert_allclose(face.shape.numpy(), shapes.reshape(2, -1, 3), atol=1e-5)
    np.testing.assert_allclose(face.albedo.numpy(), albedos.reshape(2, -1, 3), atol=1e-5)


def test_normals_of_a_sphere_point_outward(model):
    shape = model.shape(torch.zeros(1, 80), torch.zeros(1, 64))[0]
    radial = torch.nn.functional.normalize(shape - shape.mean(dim=0), dim=-1)
    cosines = (model.normals(shape[None])[0] * radial).sum(dim=-1)
    assert cosines.mean() > 0.98
    assert cosines.min() > 0.8


def test_rotation_turns_about_x_then_y_then_z():
    angles = np.array([[0.3, -0.7, 1.1], [0.0, 0.0, 0.0], [-1.2, 0.2, 0.5]])
    points = np.random.default_rng(0).normal(size=(3, 5, 3))
    expected = [
        Rotation.from_euler("xyz", angle).apply(rows)
        for angle, rows in zip(angles, points, strict=True)
    ]
    found = torch.from_numpy(points) @ bfm.rotation(torch.from_numpy(angles))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_projects_onto_a_224_pixel_image():
    points = torch.tensor([[[0.0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.5, 0, 5.0]]])
    # By hand: a pinhole of focal length 1015 at a distance of 10, of 5 for the last point.
    expected = [[112, 111], [162.75, 111], [112, 60.25], [213.5, 111]]
    np.testing.assert_allclose(bfm.project(points)[0].numpy(), expected, atol=1e-3)


HARMONICS = [(0, 0), (1, -1), (1, 0), (1, 1), (2, -2), (2, -1), (2, 0), (2, 1), (2, 2)]


@pytest.mark.parametrize(("index", "degree", "order"), [(i, *h) for i, h in enumerate(HARMONICS)])
def test_shading_weighs_real_spherical_harmonics(index: int, degree: int, order: int):
    generator = torch.Generator().manual_seed(1)
    normals = torch.nn.functional.normalize(torch.randn(50, 3, generator=generator), dim=-1)
    x, y, z = normals.double().numpy().T
    complex_values = sph_harm_y(degree, abs(order), np.arccos(z), np.arctan2(y, x))
    real = complex_values.imag if order < 0 else complex_values.real
    factor = (np.pi, 2 * np.pi / np.sqrt(3), 2 * np.pi / np.sqrt(8))[degree]
    expected = factor * real * (np.sqrt(2) if order else 1)

    for colour in range(3):
        lighting = torch.zeros(1, 27)
        ambient = bfm.shading(normals[None], lighting)
        lighting[0, 9 * colour + index] = 1
        found = (bfm.shading(normals[None], lighting) - ambient)[0]
        np.testing.assert_allclose(found[:, colour].numpy(), expected, atol=1e-5)
        assert found.count_nonzero() <= len(normals)  # the other two colours stay dark


def test_no_lighting_coefficients_mean_white_ambient_light():
    light = bfm.shading(torch.eye(3)[None], torch.zeros(1, 27))
    np.testing.assert_allclose(light.numpy(), 0.8 * np.pi / np.sqrt(4 * np.pi), rtol=1e-6)


def test_light_falls_on_the_turned_face(model):
    coefficients = torch.zeros(2, 257)
    coefficients[:, 227 + 3] = -1.0  # red light from the right
    coefficients[1, 225] = np.pi / 2  # turns what faces the viewer to the right
    front = (model.normals(model.shape(torch.zeros(1, 80), torch.zeros(1, 64)))[0, :, 2]).argmax()
    red = model(coefficients).shading[:, front, 0]
    assert red[1] > red[0] + 1


def test_landmarks_are_the_projected_keypoints_of_the_posed_shape(model):
    coefficients = random_coefficients(2) * 0.2
    whole = model(coefficients)
    angle, translation = coefficients[:, 224:227], coefficients[:, None, 254:]
    posed = bfm.project(whole.shape @ bfm.rotation(angle) + translation)
    np.testing.assert_allclose(whole.landmarks, posed[:, model.keypoints], atol=1e-2)
    assert whole.landmarks.shape == (2, 68, 2)


def test_every_coefficient_has_a_gradient(model):
    coefficients = (random_coefficients(1) * 0.2).requires_grad_()
    face = model(coefficients)
    (face.albedo * face.shading).sum().add(face.landmarks.square().sum()).backward()
    assert coefficients.grad is not None
    assert coefficients.grad.isfinite().all()
    assert coefficients.grad.count_nonzero() == coefficients.numel()


def test_computes_where_its_arrays_are(model):
    elsewhere = copy.deepcopy(model).to("meta")
    face = elsewhere(torch.zeros(2, 257, device="meta"))
    assert {part.device.type for part in face} == {"meta"}


def test_no_checkpoint_carries_the_face_model(model):
    assert model.state_dict() == {}


def test_names_what_a_wrong_file_lacks(arrays, tmp_path: Path):
    savemat(tmp_path / "a.mat", {k: v for k, v in arrays.items() if k not in ("tri", "exBase")})
    with pytest.raises(BadData, match="it has no exBase, tri"):
        bfm.load_face_model(tmp_path / "a.mat")
    savemat(tmp_path / "b.mat", {**arrays, "idBase": arrays["idBase"][:, :79]})
    with pytest.raises(BadData, match=r"idBase is \(1200, 79\) instead of \(1200, 80\)"):
        bfm.load_face_model(tmp_path / "b.mat")
    (tmp_path / "c.mat").write_text("<html>sign in</html>")
    with pytest.raises(BadData, match="no MATLAB file"):
        bfm.load_face_model(tmp_path / "c.mat")
    with pytest.raises(MissingArtefact, match="register"):
        bfm.load_face_model(tmp_path / "d.mat")
