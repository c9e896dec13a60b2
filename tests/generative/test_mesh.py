"""The geometry loss beside its formulas in numpy, on a small mesh: BFM may not be passed on."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from anonbench.generative.mesh import MeshGeometry, Weights, landmark_loss
from anonbench.nets.bfm import FaceModel

# An octahedron, counter-clockwise from outside, and the triangles around each corner.
CORNERS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
TRIANGLES = np.array(
    [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
)
AROUND = np.array([np.nonzero(corner == TRIANGLES)[0] for corner in range(6)])
KEYPOINTS = np.arange(68) % 6
IDENTITY, EXPRESSION = np.split(np.random.default_rng(4).normal(0, 0.03, (18, 144)), [80], axis=1)

SHAPE, TEXTURE, ANGLE, LIGHT, PLACE = (
    slice(0, 144),
    slice(144, 224),
    slice(224, 227),
    slice(227, 254),
    slice(254, 257),
)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    def real(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=torch.float32)

    return FaceModel(
        mean_shape=real(CORNERS),
        identity_basis=real(IDENTITY),
        expression_basis=real(EXPRESSION),
        mean_albedo=torch.full((6, 3), 128.0),
        albedo_basis=torch.ones(18, 80),
        triangles=torch.tensor(TRIANGLES),
        vertex_triangles=torch.tensor(AROUND),
        keypoints=torch.tensor(KEYPOINTS),
    )


def coefficients(count: int, seed: int) -> torch.Tensor:
    return 0.3 * torch.randn(count, 257, generator=torch.Generator().manual_seed(seed))


def decode(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shape `[6, 3]`, light `[6, 3]` (Eq. 18) and points `[68, 2]` of one face's 257 numbers."""
    shape = CORNERS + (IDENTITY @ numbers[:80] + EXPRESSION @ numbers[80:144]).reshape(6, 3)
    turn = Rotation.from_euler("xyz", numbers[ANGLE])
    a, b, c = (shape[TRIANGLES[:, corner]] for corner in range(3))
    flat = np.cross(b - a, c - a)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    normals = np.array([flat[around].sum(axis=0) for around in AROUND])
    normals = turn.apply(normals / np.linalg.norm(normals, axis=1, keepdims=True))
    light = np.array([radiance(normal, numbers[LIGHT].reshape(3, 9)) for normal in normals])
    posed = turn.apply(shape) + numbers[PLACE]
    depth = 10 - posed[:, 2]
    pixels = np.stack(
        [112 + 1015 * posed[:, 0] / depth, 223 - 112 - 1015 * posed[:, 1] / depth], axis=1
    )
    return shape, light, pixels[KEYPOINTS]


def radiance(normal: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Eq. 18: RGB from the nine harmonics of each colour, with D3DFR's factors and ambience."""
    x, y, z = normal
    harmonics = [
        np.pi / np.sqrt(4 * np.pi),
        *(2 * np.pi / np.sqrt(4 * np.pi) * np.array([-y, z, -x])),
        *(2 * np.pi / np.sqrt(8) * 3 * np.sqrt(5 / (12 * np.pi)) * np.array(
            [x * y, -y * z, (3 * z**2 - 1) / (2 * np.sqrt(3)), -x * z, (x**2 - y**2) / 2]
        )),
    ]  # fmt: skip
    ambient = np.array([0.8, 0, 0, 0, 0, 0, 0, 0, 0])
    return (gamma + ambient) @ np.array(harmonics)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_terms_are_those_of_the_article(model, reduction):
    original, output = coefficients(3, 0), coefficients(3, 1)
    shape, light, points = [], [], []
    for a, b in zip(original.double().numpy(), output.double().numpy(), strict=True):
        squares = [(x - y) ** 2 for x, y in zip(decode(a), decode(b), strict=True)]
        shape.append(squares[0].sum())
        light.append(squares[1].sum())
        points.append(squares[2].sum(axis=1).mean())  # Eq. 19 divides by the 68 landmarks
    divisors = (1, 1, 1) if reduction == "sum" else (18, 18, 2)
    expected = [
        np.mean(term) / divisor
        for term, divisor in zip((shape, light, points), divisors, strict=True)
    ]
    geometry = MeshGeometry(model, reduction)
    np.testing.assert_allclose(geometry.terms(original, output), expected, rtol=1e-4)
    total = expected[0] + expected[1] + 0.01 * expected[2]  # Eqs. 17 and 20
    assert geometry(original, output).item() == pytest.approx(total, rel=1e-4)


def test_weights_are_configurable(model):
    a, b = coefficients(2, 0), coefficients(2, 1)
    terms = MeshGeometry(model, "mean").terms(a, b)
    loss = MeshGeometry(model, "mean", Weights(shape=0.0, colour=3.0, landmarks=0.5))(a, b)
    assert loss.item() == pytest.approx((3 * terms.colour + 0.5 * terms.landmarks).item())


def test_the_same_geometry_costs_nothing(model):
    a = coefficients(2, 0)
    assert MeshGeometry(model, "sum")(a, a.clone()).item() == 0


def test_each_coefficient_moves_the_terms_it_should(model):
    """Pose leaves the shape alone, albedo leaves everything alone."""
    geometry, a = MeshGeometry(model, "sum"), coefficients(1, 0)
    moved = {}
    for name, part in (("angle", ANGLE), ("light", LIGHT), ("place", PLACE), ("skin", TEXTURE)):
        b = a.clone()
        b[:, part] += 0.2
        moved[name] = [value.item() > 1e-6 for value in geometry.terms(a, b)]
    assert moved == {
        "angle": [False, True, True],
        "light": [False, True, False],
        "place": [False, False, True],
        "skin": [False, False, False],
    }


def test_gradients_reach_all_that_shapes_the_output(model):
    output = coefficients(2, 1).requires_grad_()
    MeshGeometry(model, "mean")(coefficients(2, 0), output).backward()
    assert output.grad is not None
    assert output.grad.isfinite().all()
    for part in (SHAPE, ANGLE, LIGHT, PLACE):
        assert output.grad[:, part].count_nonzero() == output.grad[:, part].numel()


def test_autocast_does_not_coarsen_the_landmarks(model):
    a, geometry = coefficients(2, 0), MeshGeometry(model, "mean")
    b = a.clone()
    b[:, PLACE.start] += 0.002  # 0.2 pixels at a distance of ten
    with torch.autocast("cpu", torch.bfloat16):
        found = geometry.terms(a, b).landmarks
        halves = geometry(a.to(torch.bfloat16), b.to(torch.bfloat16))
    assert found.item() == pytest.approx(geometry.terms(a, b).landmarks.item(), rel=1e-5)
    assert halves.dtype == torch.float32


def test_landmarks_of_another_prior_can_be_compared():
    a = torch.zeros(2, 5, 2)
    b = torch.tensor([3.0, 4.0]).expand(2, 5, 2)
    assert landmark_loss(a, b, "sum").item() == 25
    assert landmark_loss(a, b, "mean").item() == 12.5
