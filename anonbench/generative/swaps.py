"""Face swaps as teachers: what the demo has in place of a decoder that already knows faces.

The published method starts from a StyleGAN2 trained on 70,000 faces. The demo cannot; instead, in
part of its training the decoder is shown what another face in the place of the original looks
like: a donor's face, warped by a thin-plate spline so that its 68 landmarks fall on those of the
original, matched in colour and blended in softly. A swap is a target of training only.

Source of the spline: Bookstein, "Principal Warps" (1989).
"""

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor
from torch.nn import functional

from anonbench.generative.views import signed
from anonbench.training.crops import Crops

# iBUG landmarks: jaw line, and the brows from the image's left to its right.
_JAW, _BROWS = slice(0, 17), slice(17, 27)
_RAISED = 0.35  # how far the face region reaches above the brows, in heights from brows to chin
_SHRUNK = 0.94  # of the face region about its centre, so that blending stays inside the face
_SOFT = 0.025  # of the blending, in sides of the image
_STIFFNESS = 1e-3  # of the spline: landmarks are read with errors
_COARSE = 2  # the spline is evaluated on every second pixel
_CONTRAST = (0.7, 1.4)  # by how much a donor's contrast may be changed


def swap(originals: Tensor, points: Tensor, donors: Tensor, donor_points: Tensor) -> Tensor:
    """Put the donors' faces in the places of the originals' faces.

    Args:
        originals: `[B, 3, S, S]` in `[-1, 1]`.
        points: `[B, 68, 2]` their landmarks in pixels.
        donors: `[B, 3, S, S]` in `[-1, 1]`.
        donor_points: `[B, 68, 2]`.

    Returns:
        `[B, 3, S, S]` in `[-1, 1]`.
    """
    mask = face_regions(points, originals.shape[-1])
    warped = match(donors, points, donor_points)
    return torch.lerp(originals, _match_colours(warped, originals, mask), mask)


def face_regions(points: Tensor, size: int) -> Tensor:
    """Soft masks `[B, 1, S, S]` in `[0, 1]` of faces from jaw to forehead."""
    masks = np.zeros((len(points), size, size), np.float32)
    for face, blurred in zip(points.cpu().numpy(), masks, strict=True):
        brows = face[_BROWS]
        up = (brows.mean(axis=0) - face[8]) * _RAISED
        outline = np.concatenate([face[_JAW], (brows + up)[::-1]])
        centre = outline.mean(axis=0)
        outline = centre + (outline - centre) * _SHRUNK
        mask = Image.new("L", (size, size))
        ImageDraw.Draw(mask).polygon([tuple(map(float, p)) for p in outline], fill=255)
        blurred[:] = np.asarray(mask.filter(ImageFilter.GaussianBlur(_SOFT * size)))
    return torch.from_numpy(masks).to(points.device)[:, None] / 255


def _match_colours(donors: Tensor, originals: Tensor, mask: Tensor) -> Tensor:
    """Donors with the mean colour and the contrast that the originals have inside the mask.

    Their colours are no more varied than the originals', so that a grey picture stays grey.
    """
    pale = _colourfulness(originals, mask) / _colourfulness(donors, mask)
    grey = donors.mean(dim=1, keepdim=True)
    donors = grey + (donors - grey) * pale.clamp(max=1)
    mean, deviation = statistics(originals, mask)
    own_mean, own_deviation = statistics(donors, mask)
    contrast = (deviation / own_deviation).mean(dim=1, keepdim=True).clamp(*_CONTRAST)
    return ((donors - own_mean) * contrast + mean).clamp(-1, 1)


def _colourfulness(images: Tensor, mask: Tensor) -> Tensor:
    """How far colours are from grey inside a mask, about their mean colour: `[B, 1, 1, 1]`."""
    tints = images - images.mean(dim=1, keepdim=True)
    return statistics(tints, mask)[1].mean(dim=1, keepdim=True)


def statistics(images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Means and standard deviations `[B, 3, 1, 1]` inside a mask."""
    share = mask / mask.sum(dim=(2, 3), keepdim=True).clamp(min=1e-3)
    mean = (images * share).sum(dim=(2, 3), keepdim=True)
    variance = ((images - mean).square() * share).sum(dim=(2, 3), keepdim=True)
    return mean, (variance + 1e-6).sqrt()


def match(donors: Tensor, points: Tensor, donor_points: Tensor) -> Tensor:
    """Images `[B, 3, S, S]` moved so that their landmarks `donor_points` fall on `points`."""
    size = donors.shape[-1]
    there, here = _unit(donor_points, size), _unit(points, size)
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]).to(here) * 1.5
    corners = corners.expand(len(here), -1, -1)
    here, there = torch.cat([here, corners], 1), torch.cat([there, corners], 1)
    weights = _spline(here, there)
    axis = torch.linspace(-1, 1, size // _COARSE, device=here.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    grid = torch.stack([x, y], dim=-1).view(1, -1, 2).expand(len(here), -1, -1)
    places = _features(grid, here) @ weights
    field = places.mT.reshape(-1, 2, len(axis), len(axis))
    field = functional.interpolate(field, (size, size), mode="bilinear", align_corners=True)
    warped: Tensor = functional.grid_sample(
        donors, field.permute(0, 2, 3, 1), padding_mode="reflection", align_corners=True
    )
    return warped


def _unit(points: Tensor, size: int) -> Tensor:
    """Pixels as -1..1 between the centres of the corner pixels."""
    return points.float() * (2 / (size - 1)) - 1


def _spline(here: Tensor, there: Tensor) -> Tensor:
    """Weights `[B, N + 3, 2]` of the spline that takes `here` to `there` (`[B, N, 2]`)."""
    count = here.shape[1]
    features = _features(here, here)  # [B, N, N + 3]
    system = torch.zeros(len(here), count + 3, count + 3, device=here.device)
    system[:, :count] = features
    system[:, :count, :count] += _STIFFNESS * torch.eye(count, device=here.device)
    system[:, count:, :count] = features[:, :, count:].mT
    target = torch.cat([there, there.new_zeros(len(there), 3, 2)], dim=1)
    weights: Tensor = torch.linalg.solve(system, target)
    return weights


def _features(places: Tensor, centres: Tensor) -> Tensor:
    """`[B, M, N + 3]`: r² log r² to each centre, and 1, x, y."""
    squared = (places[:, :, None] - centres[:, None]).square().sum(dim=-1)
    radial = squared * torch.log(squared + 1e-9)
    return torch.cat([radial, torch.ones_like(places[..., :1]), places], dim=-1)


def average(crops: Crops, places: Tensor) -> tuple[Tensor, Tensor]:
    """The average `[3, S, S]` in `[-1, 1]` of some crops' faces, and of their landmarks `[68, 2]`.

    Args:
        crops: The training data.
        places: Which of them, `[N]` int64.
    """
    points = torch.from_numpy(crops.points[places.numpy()])
    centre = points.mean(dim=0)
    images = signed(crops.images[places.numpy()])
    return match(images, centre.expand_as(points), points).mean(dim=0), centre


class Donors:
    """Faces to be put in the places of others, chosen by their landmarks.

    Args:
        crops: The training data.
        candidates: How many are compared for each draw.
    """

    def __init__(self, crops: Crops, candidates: int) -> None:
        self._crops, self._candidates = crops, candidates

    def draw(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """A donor for each face: of some candidates the one whose landmarks differ least.

        Args:
            points: `[B, 68, 2]` landmarks in pixels.

        Returns:
            Images `[B, 3, S, S]` in `[-1, 1]` and their landmarks `[B, 68, 2]`.
        """
        drawn = torch.randint(len(self._crops.images), (len(points), self._candidates)).numpy()
        there = torch.from_numpy(self._crops.points[drawn])
        apart = (there - points.cpu()[:, None]).square().sum(dim=(2, 3))
        apart[apart == 0] = torch.inf  # a face is no donor of its own
        best = drawn[np.arange(len(drawn)), apart.argmin(dim=1).numpy()]
        found = torch.from_numpy(self._crops.points[best])
        return signed(self._crops.images[best]).to(points.device), found.to(points.device)
