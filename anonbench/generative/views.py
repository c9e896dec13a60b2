"""Images as others see them: as stored crops, in a published file, through a camera."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anonbench.training.warps import similarities, warp


def signed(images: NDArray[np.uint8]) -> Tensor:
    """Crops `[B, S, S, 3]` uint8 as `[B, 3, S, S]` in `[-1, 1]`."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def published(images: Tensor) -> Tensor:
    """Images in `[-1, 1]` at 8 bits; gradients pass as if they had not been rounded."""
    clipped = images.clamp(-1, 1)
    rounded = ((clipped + 1) * 127.5).round() / 127.5 - 1
    return clipped + (rounded - clipped).detach()


def disturbed(images: Tensor) -> Tensor:
    """Copies turned, scaled, shifted, recoloured and softened a little, each in its own way.

    A recogniser that is shown these cannot be deceived by texture that only fits one view.

    Args:
        images: `[B, 3, S, S]` in `[-1, 1]`, which the copies may leave.
    """
    count, device = len(images), images.device
    moved = warp(images, slight_similarities(count))
    soft = functional.avg_pool2d(moved, 3, stride=1, padding=1, count_include_pad=False)
    moved = torch.lerp(moved, soft, torch.rand(count, 1, 1, 1).to(device))
    contrast = (0.75 + 0.5 * torch.rand(count, 1, 1, 1)).to(device)
    return moved * contrast + (0.15 * torch.randn(count, 3, 1, 1)).to(device)


def slight_similarities(count: int) -> Tensor:
    """Matrices `[count, 2, 3]` for `warp`: about 5 degrees, 6 % of size, 1.5 % of the side."""
    angle, scale = 0.08 * torch.randn(count), torch.exp(0.06 * torch.randn(count))
    return similarities(angle, scale, 0.03 * torch.randn(count, 2))
