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
