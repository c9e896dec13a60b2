"""The priors of the demo checkpoint, in place of ArcFace and of the 3DMM that users must fetch.

The identity is dlib's embedding, standardised so that, like ArcFace's features before they are
normalised, each of its values is about N(0, 1). The geometry is a linear model of dlib's 68
landmarks in the aligned crop, whose coefficients a small network reads from the pixels. Both see
crops of the alignment `ffhq-128`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anonbench import weights
from anonbench.errors import BadData
from anonbench.nets.dlib_resnet import DIM, SIZE, DlibFaceResNet, load_dlib_resnet
from anonbench.nets.stylegan2 import full_precision

CROP = 128
POINTS = 68


class DemoIdentity(nn.Module):
    """dlib's recogniser on aligned crops, its embedding standardised.

    The crop is taken to dlib's 150-pixel chip by one fixed similarity, the median of those that
    dlib finds for crops of this alignment. The recogniser's weights are not part of the state.

    Args:
        recogniser: dlib's network; None reads the fetched file.

    Raises:
        MissingArtefact: dlib's weights have not been fetched.
    """

    chip: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, recogniser: DlibFaceResNet | None = None) -> None:
        super().__init__()
        self._recogniser = (recogniser or load_dlib_resnet(weights.path("dlib-resnet")),)
        self.register_buffer("chip", torch.eye(2, 3))  # crop pixels to chip pixels
        self.register_buffer("mean", torch.zeros(DIM))
        self.register_buffer("deviation", torch.ones(DIM))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Also move the recogniser, which stands in a tuple so that no state dict holds it."""
        self._recogniser[0]._apply(fn, recurse)  # type: ignore[no-untyped-call]
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def raw(self, images: Tensor) -> Tensor:
        """Embeddings as dlib gives them `[B, 128]`, of crops `[B, 3, 128, 128]` in `[-1, 1]`."""
        with full_precision(images):
            chips = functional.grid_sample(
                images.float() * 0.5 + 0.5,
                self._grid(len(images)),
                align_corners=True,
                padding_mode="border",
            )
        embeddings: Tensor = self._recogniser[0](chips)
        return embeddings

    def embed(self, images: Tensor) -> Tensor:
        """Standardised embeddings `[B, 128]` of crops `[B, 3, 128, 128]` in `[-1, 1]`."""
        return (self.raw(images).float() - self.mean) / self.deviation

    def _grid(self, batch: int) -> Tensor:
        """Where each pixel of a chip lies in the crop, in -1..1 as `grid_sample` has it."""
        matrix = torch.cat([self.chip, self.chip.new_tensor([[0.0, 0.0, 1.0]])])
        inverse = torch.linalg.inv(matrix)[:2]
        axis = torch.arange(SIZE, dtype=inverse.dtype, device=inverse.device)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        places: Tensor = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ inverse.T
        return (places * (2 / (CROP - 1)) - 1).expand(batch, -1, -1, -1)


class LandmarkPrior(nn.Module):
    """Linear landmark model and the network that reads its coefficients from a crop.

    The coefficients are those of the principal components of dlib's landmarks in aligned crops;
    shape, expression and pose move them alike. Each has variance one over the training crops.

    Args:
        size: Coefficients.
        width: Channels of the first layer.
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, size: int = 32, width: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(POINTS * 2))
        self.register_buffer("basis", torch.zeros(size, POINTS * 2))
        widths = [3, width, 2 * width, 4 * width, 4 * width]
        self.layers = nn.Sequential(
            *(_level(inputs, outputs) for inputs, outputs in pairwise(widths))
        )
        side = CROP // 2 ** len(widths)
        self.head = nn.Linear(widths[-1] * side**2, size)

    def fit(self, points: NDArray[np.float32]) -> Tensor:
        """Take the model from landmarks `[N, 68, 2]` in crop pixels; return the coefficients.

        Raises:
            BadData: There are no more faces than coefficients.
        """
        size = len(self.basis)
        if len(points) <= size:
            raise BadData(
                f"{len(points)} faces are too few for {size} components of their landmarks.",
                mend=f"Train on more than {size} faces, better on thousands.",
            )
        flat = torch.as_tensor(points).double().flatten(1) / CROP
        mean = flat.mean(dim=0)
        _, strength, axes = torch.linalg.svd(flat - mean, full_matrices=False)
        deviation = strength[:size] / (len(flat) - 1) ** 0.5
        self.mean.copy_(mean)
        self.basis.copy_(axes[:size] * deviation[:, None])
        coefficients: Tensor = (flat - mean) @ axes[:size].T / deviation
        return coefficients.float()

    def forward(self, images: Tensor) -> Tensor:
        """The same as `coefficients`."""
        return self.coefficients(images)

    def coefficients(self, images: Tensor) -> Tensor:
        """Coefficients `[B, size]` of crops `[B, 3, 128, 128]` in `[-1, 1]`."""
        x = self.layers(functional.avg_pool2d(images, 2))
        coefficients: Tensor = self.head(x.flatten(1)).float()
        return coefficients

    def landmarks(self, coefficients: Tensor) -> Tensor:
        """Landmarks `[B, 68, 2]` in crop pixels of coefficients `[B, size]`."""
        with full_precision(coefficients):
            flat = self.mean + coefficients.float() @ self.basis
        points: Tensor = flat.view(-1, POINTS, 2) * CROP
        return points


def _level(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
    )
