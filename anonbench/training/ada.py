"""Adaptive discriminator augmentation, for training on few images.

"Training Generative Adversarial Networks with Limited Data" (Karras et al., 2020): whatever the
discriminator sees, real or generated, is augmented with a probability that rises while the
discriminator is too sure of the real images. A small choice of their transformations, all of them
differentiable once; so a gradient penalty is taken at the augmented images.
"""

import math

import torch
from torch import Tensor, nn

from anonbench.training.warps import similarities, warp

_IMAGES_TO_CERTAINTY = 500_000
"""Images over which the probability can rise from 0 to 1."""
_BATCHES = 4
"""Batches between two adaptations."""
_MOST = 0.8
"""Highest probability; from there on augmentations are taken for properties of the images."""
_CUT = 0.5
"""Side of what is cut out, in sides of the image."""


class AdaptiveAugmentation(nn.Module):
    """Augments images, each transformation of each with a probability that adapts.

    Args:
        target: Share of real images called real, less the share called generated, that the
            discriminator shall reach; its authors advise 0.6.
    """

    probability: Tensor
    heard: Tensor

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("heard", torch.zeros(3))  # batches, images, sum of signs

    @torch.no_grad()
    def adapt(self, logits: Tensor) -> None:
        """Take the discriminator's logits `[B, 1]` of real images into account."""
        signs = logits.float().sign()
        self.heard += torch.stack([signs.new_ones(()), signs.new_tensor(len(signs)), signs.sum()])
        batches, images, total = self.heard.tolist()
        if batches < _BATCHES:
            return
        change = math.copysign(images / _IMAGES_TO_CERTAINTY, total / images - self.target)
        self.probability.add_(change).clamp_(0, _MOST)
        self.heard.zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Augmented copies of images `[B, 3, S, S]` in `[-1, 1]`, which they may slightly leave."""
        return self._recoloured(self._cut(self._moved(images)))

    def _moved(self, images: Tensor) -> Tensor:
        """Some mirrored, turned, scaled, shifted."""
        count = len(images)
        angle = self._some(count) * (torch.rand(count) * 2 - 1) * (math.pi / 12)
        scale = torch.exp2(self._some(count) * torch.randn(count) * 0.2)
        shift = self._some(count)[:, None] * (torch.rand(count, 2) - 0.5) / 2
        matrices = similarities(angle, scale, shift)
        matrices[:, :, 0] *= (1 - 2 * self._some(count) * torch.rand(count).round())[:, None]
        return warp(images, matrices)

    def _cut(self, images: Tensor) -> Tensor:
        """Some with a grey square."""
        count, size = len(images), images.shape[-1]
        side = self._some(count) * _CUT * size
        centre = torch.rand(count, 2) * size
        places = torch.arange(size) + 0.5
        outside = (places - centre[:, :, None]).abs() * 2 >= side[:, None, None]  # [B, 2, S]
        kept = outside[:, 0, None, :] | outside[:, 1, :, None]
        return images * kept[:, None].to(images)

    def _recoloured(self, images: Tensor) -> Tensor:
        """Some with another brightness, contrast, saturation."""
        count = len(images)
        saturation, contrast = (
            torch.exp2(self._some(count) * torch.randn(count) * deviation).view(-1, 1, 1, 1)
            for deviation in (1.0, 0.5)
        )
        brightness = (self._some(count) * torch.randn(count) * 0.2).view(-1, 1, 1, 1)
        grey = images.mean(dim=1, keepdim=True)
        coloured = torch.lerp(grey, images, saturation.to(images))
        return coloured * contrast.to(images) + brightness.to(images)

    def _some(self, count: int) -> Tensor:
        """One for those images `[B]` that a transformation applies to, else zero."""
        return (torch.rand(count) < self.probability.cpu()).float()
