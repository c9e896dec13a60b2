"""Similarity warps of image batches: differentiable, each image by a matrix of its own."""

import torch
from torch import Tensor
from torch.nn import functional


def similarities(angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Matrices `[B, 2, 3]` that say where in its image each place of a warped image comes from.

    Args:
        angle: `[B]` in radians.
        scale: `[B]`; what is above one makes faces smaller.
        shift: `[B, 2]` in halves of the image's side.
    """
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    rows = [
        torch.stack([cosine, -sine, shift[:, 0]], dim=1),
        torch.stack([sine, cosine, shift[:, 1]], dim=1),
    ]
    return torch.stack(rows, dim=1)


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Images `[B, C, S, S]` moved by matrices `[B, 2, 3]`, mirrored beyond their edges."""
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    warped: Tensor = functional.grid_sample(
        images, grid.to(images.device), padding_mode="reflection", align_corners=False
    )
    return warped


def aligned(images: Tensor, points: Tensor, places: Tensor, shape: tuple[int, int]) -> Tensor:
    """Crops of images, in which their points come as near to given places as they can.

    Turned, scaled and shifted only, by least squares over the points; where width and height of
    a crop differ, also stretched, so that a square becomes all of it.

    Args:
        images: `[B, C, S, S]`.
        points: `[B, N, 2]` (x, y) in pixels of the images.
        places: `[N, 2]` (x, y), in -1..1 from edge to edge of the crop.
        shape: Height and width of the crops.

    Returns:
        `[B, C, *shape]`, mirrored beyond the images' edges, channels last in memory.
    """
    here = torch.view_as_complex((points.float() + 0.5) * (2 / images.shape[-1]) - 1)
    there = torch.view_as_complex(places.float().to(points.device))
    middle, centre = here.mean(dim=1), there.mean()
    spread = there - centre
    turn = ((here - middle[:, None]) * spread.conj()).sum(dim=1) / spread.abs().square().sum()
    shift = middle - turn * centre
    rows = [
        torch.stack([turn.real, -turn.imag, shift.real], dim=1),
        torch.stack([turn.imag, turn.real, shift.imag], dim=1),
    ]
    size = [*images.shape[:2], *shape]
    grid = functional.affine_grid(torch.stack(rows, dim=1), size, align_corners=False)
    crops: Tensor = functional.grid_sample(
        images, grid.to(images.dtype), padding_mode="reflection", align_corners=False
    )
    return crops.contiguous(memory_format=torch.channels_last)


def carry(points: Tensor, matrices: Tensor, size: int) -> Tensor:
    """Where `warp` takes points `[B, N, 2]`.

    Args:
        points: In pixels of the images, with pixel centres at whole numbers.
        matrices: `[B, 2, 3]`.
        size: Side of the images in pixels.
    """
    unit = (points + 0.5) * (2 / size) - 1
    there: Tensor = torch.linalg.solve(matrices[:, :, :2], unit.mT - matrices[:, :, 2:]).mT
    return ((there + 1) * size - 1) / 2
