"""Faces drawn by a linear model: the demo's stand-in for a decoder that already knows faces.

The published method starts from a StyleGAN2 trained on 70,000 faces. The demo has, instead, an
active appearance model (Cootes, Edwards and Taylor, 2001) whose texture follows from the identity
by ridge regression. It draws a smooth, likely face for an identity and a geometry, and puts it into
the place of the face in an image; the decoder's encoder sees that picture beside the original.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.generative.demo_priors import CROP, POINTS, LandmarkPrior
from anonbench.generative.swaps import face_regions, match, statistics, swap
from anonbench.nets.dlib_resnet import DIM

# Where the face is in a crop whose landmarks are the mean ones: rows, columns.
_ROWS, _COLUMNS = (24, 112), (20, 108)
_SIDE = 64  # of the textures
_SPREAD = 3.0  # texture values are cut off there, in standard deviations of a face
_CONTRAST = 0.3  # usual deviation of a face's values in an image
_RIDGE = 0.05


class AppearancePrior(nn.Module):
    """Textures that are linear in an identity, in the frame of the mean landmarks.

    Args:
        rank: Of the map from identities to textures.
    """

    points: Tensor
    mean: Tensor
    down: Tensor
    up: Tensor

    def __init__(self, rank: int = 48) -> None:
        super().__init__()
        pixels = 3 * _SIDE**2
        self.register_buffer("points", torch.zeros(POINTS, 2))
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("down", torch.zeros(DIM, rank))
        self.register_buffer("up", torch.zeros(rank, pixels))

    def render(self, identity: Tensor, landmarks: Tensor, images: Tensor) -> Tensor:
        """Put the faces of identities into images.

        Args:
            identity: `[B, 128]`.
            landmarks: `[B, 68, 2]` of the faces in the images, in pixels.
            images: `[B, 3, 128, 128]` in `[-1, 1]`.

        Returns:
            `[B, 3, 128, 128]` in `[-1, 1]`, the images outside the faces.
        """
        (top, bottom), (left, right) = _ROWS, _COLUMNS
        textures = (self.mean + identity.float() @ self.down @ self.up).view(-1, 3, _SIDE, _SIDE)
        faces = functional.interpolate(
            textures, (bottom - top, right - left), mode="bilinear", align_corners=False
        )
        margins = (left, CROP - right, top, CROP - bottom)
        canvas = functional.pad(faces, margins, mode="replicate")
        return swap(images, landmarks, canvas * _CONTRAST, self.points.expand(len(images), -1, -1))

    def fit(
        self,
        images_of: Callable[[Tensor], Tensor],
        points: Tensor,
        identities: Tensor,
        chosen: Sequence[Tensor],
    ) -> None:
        """Take the model from faces.

        Args:
            images_of: Crops `[B, 3, 128, 128]` in `[-1, 1]` by their indexes.
            points: `[N, 68, 2]` landmarks of all crops.
            identities: `[N, 128]` embeddings of all crops.
            chosen: Batches of indexes of the crops to take it from.
        """
        self.points.copy_(points.mean(dim=0))
        region = face_regions(self.points[None], CROP)
        textures = torch.cat([self._textures(images_of(c), points[c], region) for c in chosen])
        embedded = identities[torch.cat(list(chosen))]
        self.mean.copy_(textures.mean(dim=0))
        textures -= self.mean
        spread = embedded.T @ embedded / len(embedded)
        together = embedded.T @ textures / len(embedded)
        spread += _RIDGE * torch.eye(DIM, device=spread.device)
        left, strength, right = torch.linalg.svd(
            torch.linalg.solve(spread, together), full_matrices=False
        )
        rank = len(self.up)
        self.down.copy_(left[:, :rank] * strength[:rank])
        self.up.copy_(right[:rank])

    def _textures(self, images: Tensor, points: Tensor, region: Tensor) -> Tensor:
        """Faces moved to the mean landmarks, of mean 0 and deviation 1: `[B, 3 * side²]`."""
        warped = match(images, self.points.expand(len(images), -1, -1), points)
        mean, deviations = statistics(warped, region)
        deviation = deviations.square().mean(dim=1, keepdim=True).sqrt()
        faces = ((warped - mean) / deviation).clamp(-_SPREAD, _SPREAD)
        faces = faces[:, :, slice(*_ROWS), slice(*_COLUMNS)]
        small = functional.interpolate(
            faces, (_SIDE, _SIDE), mode="bilinear", antialias=True, align_corners=False
        )
        return small.flatten(1)


class Renderer(nn.Module):
    """Draws faces into images whose landmarks it reads itself.

    Args:
        appearance: What faces look like.
        geometry: Where they are.
    """

    def __init__(self, appearance: AppearancePrior, geometry: LandmarkPrior) -> None:
        super().__init__()
        self.appearance, self.geometry = appearance, geometry

    def forward(self, identity: Tensor, images: Tensor) -> Tensor:
        """Images `[B, 3, 128, 128]` in `[-1, 1]` with the faces of identities `[B, 128]`.

        Each is drawn alone: splines solved in a batch have other last bits.
        """
        pairs = zip(identity, images, strict=True)
        return torch.cat([self._draw(person[None], image[None]) for person, image in pairs])

    def _draw(self, identity: Tensor, image: Tensor) -> Tensor:
        landmarks = self.geometry.landmarks(self.geometry.coefficients(image))
        return self.appearance.render(identity, landmarks, image)
