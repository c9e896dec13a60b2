"""What methods take from other people's networks: who is in an image, and how the face is shaped.

Published methods ask ArcFace and the regressor of Deep3DFaceRecon, both on the whole 256-pixel crop
as G²Face's code does; the demos' own are in `anonbench.generative.demo_priors`. Whatever satisfies
the two protocols can take their places.
"""

from typing import Literal, Protocol, Self, TypeVar, runtime_checkable

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from anonbench import weights
from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.iresnet import IResNet
from anonbench.nets.state import load_state

Morphology = Literal["shape+expression", "expression"]
"""Which coefficients of D3DFR's face model say how a face is shaped."""

# Among the 257 coefficients of D3DFR: 80 of shape, 64 of expression; three angles.
_MORPHOLOGIES: dict[Morphology, slice] = {
    "shape+expression": slice(0, 144),
    "expression": slice(80, 144),
}
_ANGLES = slice(224, 227)

N = TypeVar("N", bound=nn.Module)


@runtime_checkable
class Identifier(Protocol):
    """Says who is in an image (`E_fr`)."""

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings `[B, n]`, float32, each value about N(0, 1), of images in `[-1, 1]`."""
        ...


@runtime_checkable
class GeometricPrior(Protocol):
    """Says how the face in an image is shaped, turned and moved (`E_3d`)."""

    def coefficients(self, images: Tensor) -> Tensor:
        """What steers the decoder, `[B, k]`, of images in `[-1, 1]`."""
        ...


class ArcFaceIdentity(nn.Module):
    """ArcFace's embedding as its last batch normalisation leaves it, not normalised.

    Args:
        recogniser: The network, loaded.
    """

    def __init__(self, recogniser: IResNet) -> None:
        super().__init__()
        self.recogniser = recogniser

    @classmethod
    def load(cls) -> Self:
        """With the weights that its users bring (`arcface-r50-ms1mv3`).

        Raises:
            MissingArtefact: They are not on this machine.
        """
        return cls(_loaded(IResNet(50), "arcface-r50-ms1mv3"))

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings `[B, 512]` of crops `[B, 3, 256, 256]` in `[-1, 1]`."""
        embeddings: Tensor = self.recogniser(_unit(recogniser_input(images)))
        return embeddings


class D3dfrGeometry(nn.Module):
    """Shape, expression and pose of Deep3DFaceRecon.

    Args:
        regressor: The network, loaded.
        morphology: Which coefficients steer the decoder beside the pose.
    """

    def __init__(self, regressor: D3dfr, morphology: Morphology = "shape+expression") -> None:
        super().__init__()
        self.regressor, self.morphology = regressor, morphology

    @classmethod
    def load(cls, morphology: Morphology = "shape+expression") -> Self:
        """With the weights that its users bring (`d3dfr`).

        Raises:
            MissingArtefact: They are not on this machine.
        """
        return cls(_loaded(D3dfr(), "d3dfr"), morphology)

    def all_coefficients(self, images: Tensor) -> Tensor:
        """The face model's coefficients `[B, 257]` of crops `[B, 3, 256, 256]` in `[-1, 1]`."""
        coefficients: Tensor = self.regressor(_unit(images))
        return coefficients

    def coefficients(self, images: Tensor) -> Tensor:
        """Those that steer the decoder, `[B, 147]`, or `[B, 67]` without the shape."""
        return geometry_of(self.all_coefficients(images), self.morphology)


class NoGeometry(nn.Module):
    """No coefficients at all: the networks trained without the geometric prior (Table VI)."""

    def coefficients(self, images: Tensor) -> Tensor:
        """`[B, 0]`."""
        return images.new_zeros(len(images), 0)


def geometry_of(coefficients: Tensor, morphology: Morphology = "shape+expression") -> Tensor:
    """The coefficients that steer a decoder: morphology and pose (Eq. 2 of G²Face).

    Args:
        coefficients: `[B, 257]`, as D3DFR's network gives them.
        morphology: Shape and expression, which with the pose makes `[B, 147]`, or expression
            alone, `[B, 67]`.
    """
    return torch.cat([coefficients[:, _MORPHOLOGIES[morphology]], coefficients[:, _ANGLES]], dim=1)


def recogniser_input(images: Tensor) -> Tensor:
    """What ArcFace is shown: the whole 256-pixel crop at 112 pixels, nearest neighbour.

    Args:
        images: `[B, 3, 256, 256]` in `[-1, 1]`. No five-point warp follows, unlike for ArcFace.
    """
    return functional.interpolate(images, (112, 112), mode="nearest")


def _loaded(net: N, name: str) -> N:
    path = weights.path(name)
    load_state(net, load_file(path), source=str(path))
    return net


def _unit(images: Tensor) -> Tensor:
    return images * 0.5 + 0.5
