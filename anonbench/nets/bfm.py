"""The Basel Face Model as Deep3DFaceRecon uses it: coefficients to shape, colour, landmarks.

BFM09 ("A 3D Face Model for Pose and Illumination Invariant Face Recognition", Paysan et al.,
2009) with an expression basis, cut to the front of the face. The model may not be passed on:
users register for it and convert it to `BFM_model_front.mat` with the authors' script. The camera
and the lighting are those of `models/bfm.py` in sicxu/Deep3DFaceRecon_pytorch; everything is
differentiable. Points and normals are rows, y points up and z to the viewer.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anonbench.errors import BadData, MissingArtefact
from anonbench.nets.d3dfr import split

SIZE = 224
# The camera sits on the z axis; lengths are in the model's unit of ten centimetres.
CAMERA_DISTANCE = 10.0
FOCAL = 1015.0
CENTRE = 112.0
# What the constant harmonic has before any coefficient is added.
AMBIENT = 0.8
# The harmonics' factors by band ("An Efficient Representation for Irradiance Environment Maps",
# Ramamoorthi & Hanrahan, 2001), scaled as in the regressor's training.
BAND0 = math.sqrt(math.pi) / 2
BAND1 = math.sqrt(math.pi)
BAND2 = math.sqrt(math.pi * 30) / 4

# Arrays of the .mat with the number of columns of each; None: one number per row.
_ARRAYS: dict[str, int | None] = {
    "meanshape": None,
    "idBase": 80,
    "exBase": 64,
    "meantex": None,
    "texBase": 80,
    "tri": 3,
    "point_buf": 8,
    "keypoints": None,
}


class Reconstruction(NamedTuple):
    """A face decoded from its coefficients.

    Attributes:
        shape: Vertices `[B, N, 3]` in the model's own frame, without pose.
        albedo: Skin colour `[B, N, 3]`, RGB, about `[0, 1]`.
        shading: Light that falls on each vertex `[B, N, 3]`, RGB; colour is shading x albedo.
        landmarks: 68 points `[B, 68, 2]`, x to the right and y down, in pixels of a 224-px image.
    """

    shape: Tensor
    albedo: Tensor
    shading: Tensor
    landmarks: Tensor


class FaceModel(nn.Module):
    """A linear face model with N vertices and F triangles.

    Its arrays are buffers that no state dict holds, so that no checkpoint passes them on.

    Args:
        mean_shape: `[N, 3]`; it is moved so that its centroid is the origin.
        identity_basis: `[3N, 80]`, x, y and z of a vertex in turn.
        expression_basis: `[3N, 64]`.
        mean_albedo: `[N, 3]`, RGB in 0..255.
        albedo_basis: `[3N, 80]`, in the same unit.
        triangles: `[F, 3]` vertices, counter-clockwise from outside, from 0.
        vertex_triangles: `[N, K]` triangles around each vertex, from 0, padded with F.
        keypoints: `[68]` vertices of the landmarks, from 0.
    """

    mean_shape: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    mean_albedo: Tensor
    albedo_basis: Tensor
    triangles: Tensor
    vertex_triangles: Tensor
    keypoints: Tensor

    def __init__(
        self,
        mean_shape: Tensor,
        identity_basis: Tensor,
        expression_basis: Tensor,
        mean_albedo: Tensor,
        albedo_basis: Tensor,
        triangles: Tensor,
        vertex_triangles: Tensor,
        keypoints: Tensor,
    ) -> None:
        super().__init__()
        arrays = {
            "mean_shape": mean_shape - mean_shape.mean(dim=0),
            "identity_basis": identity_basis.reshape(*mean_shape.shape, -1),  # [N, 3, 80]
            "expression_basis": expression_basis.reshape(*mean_shape.shape, -1),
            "mean_albedo": mean_albedo,
            "albedo_basis": albedo_basis.reshape(*mean_shape.shape, -1),
            "triangles": triangles,
            "vertex_triangles": vertex_triangles,
            "keypoints": keypoints,
        }
        for name, array in arrays.items():
            self.register_buffer(name, array, persistent=False)

    def forward(self, coefficients: Tensor) -> Reconstruction:
        """Decode all of a face from `[B, 257]` coefficients."""
        face = split(coefficients)
        shape = self.shape(face.identity, face.expression)
        normals = self.normals(shape) @ rotation(face.angle)
        return Reconstruction(
            shape,
            self.albedo(face.texture),
            shading(normals, face.lighting),
            self.landmarks(coefficients),
        )

    def shape(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Vertices `[B, N, 3]` without pose, from `[B, 80]` and `[B, 64]`."""
        return (
            self.mean_shape
            + _combine(self.identity_basis, identity)
            + _combine(self.expression_basis, expression)
        )

    def albedo(self, texture: Tensor) -> Tensor:
        """Skin colour `[B, N, 3]`, RGB, about `[0, 1]`, from `[B, 80]`."""
        return (self.mean_albedo + _combine(self.albedo_basis, texture)) / 255

    def normals(self, shape: Tensor) -> Tensor:
        """Unit normals `[B, N, 3]` of the vertices: the mean of the triangles around each."""
        a, b, c = (shape[:, self.triangles[:, corner]] for corner in range(3))  # [B, F, 3] each
        flat = functional.normalize(torch.linalg.cross(a - b, b - c), dim=-1)
        flat = functional.pad(flat, (0, 0, 0, 1))  # the triangle F that pads, which has no normal
        return functional.normalize(flat[:, self.vertex_triangles].sum(dim=2), dim=-1)

    def landmarks(self, coefficients: Tensor) -> Tensor:
        """The 68 projected points `[B, 68, 2]` of `[B, 257]`; only their vertices are computed."""
        face = split(coefficients)
        points = (
            self.mean_shape[self.keypoints]
            + _combine(self.identity_basis[self.keypoints], face.identity)
            + _combine(self.expression_basis[self.keypoints], face.expression)
        )
        return project(points @ rotation(face.angle) + face.translation[:, None])


def rotation(angle: Tensor) -> Tensor:
    """Matrices `[B, 3, 3]` for `points @ matrix`: about x, then y, then z by `[B, 3]` radians."""
    cos, sin = angle.cos().unbind(1), angle.sin().unbind(1)
    one, zero = torch.ones_like(cos[0]), torch.zeros_like(cos[0])
    about_x = (one, zero, zero, zero, cos[0], sin[0], zero, -sin[0], cos[0])
    about_y = (cos[1], zero, -sin[1], zero, one, zero, sin[1], zero, cos[1])
    about_z = (cos[2], sin[2], zero, -sin[2], cos[2], zero, zero, zero, one)
    x, y, z = (torch.stack(m, dim=1).view(-1, 3, 3) for m in (about_x, about_y, about_z))
    matrices: Tensor = x @ y @ z
    return matrices


def project(points: Tensor) -> Tensor:
    """Pixels `[B, P, 2]` of posed points `[B, P, 3]`; y down, in the frame of 224 pixels."""
    scale = FOCAL / (CAMERA_DISTANCE - points[..., 2])
    x = CENTRE + scale * points[..., 0]
    y = (SIZE - 1) - (CENTRE + scale * points[..., 1])
    return torch.stack((x, y), dim=-1)


def shading(normals: Tensor, lighting: Tensor) -> Tensor:
    """Light `[B, N, 3]`, RGB, on posed unit normals `[B, N, 3]`, from `[B, 27]` coefficients.

    The coefficients are nine of red, nine of green, nine of blue; zeros give ambient light.
    """
    x, y, z = normals.unbind(-1)
    harmonics = torch.stack(
        (
            torch.full_like(x, BAND0),
            -BAND1 * y,
            BAND1 * z,
            -BAND1 * x,
            BAND2 * x * y,
            -BAND2 * y * z,
            BAND2 / (2 * math.sqrt(3)) * (3 * z**2 - 1),
            -BAND2 * x * z,
            BAND2 / 2 * (x**2 - y**2),
        ),
        dim=-1,
    )  # [B, N, 9]
    weights = lighting.reshape(-1, 3, 9)
    ambient = functional.pad(weights.new_full((1,), AMBIENT), (0, 8))
    light: Tensor = harmonics @ (weights + ambient).mT
    return light


def load_face_model(path: Path) -> FaceModel:
    """Read `BFM_model_front.mat`.

    Raises:
        MissingArtefact: There is no such file.
        BadData: It is no MATLAB file, or arrays are missing or of another shape.
    """
    arrays = _read_arrays(path)
    real = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in _ARRAYS}
    index = {name: torch.from_numpy(arrays[name].astype(np.int64)) - 1 for name in _ARRAYS}
    return FaceModel(
        mean_shape=real["meanshape"].reshape(-1, 3),
        identity_basis=real["idBase"],
        expression_basis=real["exBase"],
        mean_albedo=real["meantex"].reshape(-1, 3),
        albedo_basis=real["texBase"],
        triangles=index["tri"],
        vertex_triangles=index["point_buf"],
        keypoints=index["keypoints"],
    )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat

    if not path.is_file():
        raise MissingArtefact(
            f"The face model {path} is not there.",
            why="BFM09 may not be passed on; its users register at the University of Basel.",
            mend="Register, convert it with the script of Deep3DFaceRecon_pytorch, give its path.",
        )
    try:
        stored = loadmat(path, variable_names=list(_ARRAYS))
    except Exception as error:  # scipy lets IndexError and others out of files it cannot parse
        raise BadData(f"{path} is no MATLAB file that can be read: {error}.") from error
    arrays = {
        name: stored[name].ravel() if columns is None else stored[name]
        for name, columns in _ARRAYS.items()
        if name in stored
    }
    problems = _problems(arrays)
    if problems:
        raise BadData(
            f"{path} is not BFM_model_front.mat: {'; '.join(problems)}.",
            mend="Make it with the conversion script of Deep3DFaceRecon_pytorch.",
        )
    return arrays


def _problems(arrays: dict[str, NDArray[Any]]) -> list[str]:
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        return [f"it has no {', '.join(missing)}"]
    vertices = arrays["meanshape"].size // 3
    rows = {
        "meanshape": 3 * vertices,
        "meantex": 3 * vertices,
        "point_buf": vertices,
        "tri": len(arrays["tri"]),
        "keypoints": 68,
    }
    expected = {
        name: (rows.get(name, 3 * vertices), *(() if columns is None else (columns,)))
        for name, columns in _ARRAYS.items()
    }
    return [
        f"{name} is {arrays[name].shape} instead of {shape}"
        for name, shape in expected.items()
        if arrays[name].shape != shape
    ]


def _combine(basis: Tensor, weights: Tensor) -> Tensor:
    """`[N, 3, K]` and `[B, K]` to `[B, N, 3]`."""
    return torch.einsum("nck,bk->bnc", basis, weights)
