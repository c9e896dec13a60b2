"""The geometry loss of G²Face (Eqs. 17 to 20): output and original have one shape, light and face.

Yang et al., "G²Face: High-Fidelity Reversible Face Anonymization via Generative and Geometric
Priors" (2024), section III-F, on the face model and camera of D3DFR. A trainer needs no more than
`GeometryLoss`, so that another geometric prior may bring its own.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from anonbench.nets.bfm import FaceModel
from anonbench.training.losses import Reduction


class GeometryLoss(Protocol):
    """How far the geometry of outputs is from that of their originals."""

    def __call__(self, original: Tensor, output: Tensor) -> Tensor:
        """The loss, a float32 scalar, from all coefficients `[B, k]` that the prior regressed."""


@dataclass(frozen=True)
class Weights:
    """Weights of the terms; the defaults are the article's and those of the authors' code.

    Attributes:
        shape: Of the vertices (Eq. 17).
        colour: Of the light on them (Eq. 17).
        landmarks: λ_lm of Eq. 20.
    """

    shape: float = 1.0
    colour: float = 1.0
    landmarks: float = 0.01


class Terms(NamedTuple):
    """The terms before they are weighted, float32 scalars.

    Attributes:
        shape: Between vertices of shape and expression, in the model's own frame: no pose.
        colour: Between the light on them (Eq. 18), on normals turned by the pose; no albedo.
        landmarks: Between the 68 projected points in pixels of a 224-px image (Eq. 19).
    """

    shape: Tensor
    colour: Tensor
    landmarks: Tensor


class MeshGeometry(nn.Module):
    """The geometry loss on the Basel Face Model; a `GeometryLoss` of D3DFR's 257 coefficients.

    Args:
        model: Decodes the coefficients.
        reduction: Squared norms of Eqs. 17 and 19 as written (`sum`: over all vertices, and over
            both coordinates of a landmark) or divided by all numbers they add up (`mean`).
        weights: Of the terms.
    """

    def __init__(
        self, model: FaceModel, reduction: Reduction, weights: Weights | None = None
    ) -> None:
        super().__init__()
        self.model = model
        self.reduction = reduction
        self.weights = weights or Weights()

    def forward(self, original: Tensor, output: Tensor) -> Tensor:
        """Eq. 20 of coefficients `[B, 257]`, which may come from an autocast network."""
        terms = self.terms(original, output)
        return (
            self.weights.shape * terms.shape
            + self.weights.colour * terms.colour
            + self.weights.landmarks * terms.landmarks
        )

    def terms(self, original: Tensor, output: Tensor) -> Terms:
        """The three terms of coefficients `[B, 257]`."""
        with torch.autocast(output.device.type, enabled=False):  # bfloat16 moves a point by 0.5 px
            a, b = self.model(original.float()), self.model(output.float())
        return Terms(
            _squared(a.shape, b.shape, self.reduction),
            _squared(a.shading, b.shading, self.reduction),
            landmark_loss(a.landmarks, b.landmarks, self.reduction),
        )


def landmark_loss(original: Tensor, output: Tensor, reduction: Reduction) -> Tensor:
    """Eq. 19: the mean over landmarks `[B, N, 2]` in pixels of their squared distances.

    Args:
        original: Where they belong.
        output: Where they are.
        reduction: `sum` adds the squares of x and y as written, `mean` halves that as the
            authors' code does.
    """
    squares = (original.float() - output.float()).square()
    return squares.sum(dim=2).mean() if reduction == "sum" else squares.mean()


def _squared(a: Tensor, b: Tensor, reduction: Reduction) -> Tensor:
    """Squared L2 norm of the difference of each sample `[N, 3]`, averaged over the batch."""
    squares = (a - b).square().flatten(1)
    return (squares.sum(dim=1) if reduction == "sum" else squares.mean(dim=1)).mean()
