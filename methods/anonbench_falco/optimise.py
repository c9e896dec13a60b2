"""The optimisation: five W+ codes of an inverted face descend an identity and an attribute loss.

Barattin et al., CVPR 2023; constants as in `anonymize.py` and `lib/latent_code.py` of
chi0tzp/FALCO.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import MultiStepLR

from anonbench.nets.stylegan2 import Generator
from anonbench_falco.perception import Perception

LAYERS = slice(3, 8)
"""W+ codes that are taken from the fake and optimised; the others stay the original's."""

IDENTITY_WEIGHT, ATTRIBUTE_WEIGHT = 10.0, 0.1

RATE, DECAY = 0.01, 0.8
MILESTONES = (0.75, 0.9)
"""Of Adam's learning rate, its factor, and after which shares of the steps it is applied."""


class Target(NamedTuple):
    """What the losses know of an original.

    Attributes:
        identity: `[1, 512]`, of length one.
        tokens: `[1, 197, 768]`.
    """

    identity: Tensor
    tokens: Tensor


class Losses(NamedTuple):
    """How far generated images are from what is wanted, `[B]` each.

    Attributes:
        total: What is descended.
        cosine: Of the identity to the original's.
        attributes: Mean absolute difference of a token, summed over the tokens.
    """

    total: Tensor
    cosine: Tensor
    attributes: Tensor


class Objective(nn.Module):
    """What is minimised: `10 |cos - m| + 0.1 * attributes`.

    Args:
        generator: StyleGAN2; its stored noise is what it draws with.
        perception: The networks that images are compared by.
        margin: m.
    """

    def __init__(self, generator: Generator, perception: Perception, margin: float) -> None:
        super().__init__()
        self.generator, self.perception = generator, perception
        self.margin = margin

    def target(self, original: Tensor) -> Target:
        """What to compare with; the original is `[1, 3, S, S]` in `[0, 1]`."""
        identity = self.perception.identity(original, "original")
        return Target(identity, self.perception.tokens(original, "original"))

    def draw(self, codes: Tensor) -> Tensor:
        """Images `[B, 3, H, W]`, nominally in `[0, 1]`, of W+ `[B, 18, 512]` or W."""
        images: Tensor = self.generator(codes, self.generator.stored_noise())
        return (images + 1) / 2

    def forward(self, images: Tensor, target: Target) -> Losses:
        """The losses of generated images `[B, 3, H, W]`."""
        identity = self.perception.identity(images, "generated")
        tokens = self.perception.tokens(images, "generated")
        cosine = (identity * target.identity).sum(dim=1)
        attributes = (tokens - target.tokens).abs().mean(dim=2).sum(dim=1)
        total = IDENTITY_WEIGHT * (cosine - self.margin).abs() + ATTRIBUTE_WEIGHT * attributes
        return Losses(total, cosine, attributes)


class Step(nn.Module):
    """What one step computes: an image, its losses, and their gradient.

    Args:
        objective: What is descended.
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, codes: Tensor, identity: Tensor, tokens: Tensor) -> Tensor:
        """The gradient `[1, 5, 512]` with respect to the codes of `LAYERS`.

        Args:
            codes: `[1, 18, 512]`.
            identity: Of the `Target`.
            tokens: Of the `Target`.
        """
        with torch.enable_grad():
            free = codes[:, LAYERS].detach().requires_grad_()
            joined = torch.cat([codes[:, : LAYERS.start], free, codes[:, LAYERS.stop :]], dim=1)
            losses = self.objective(self.objective.draw(joined), Target(identity, tokens))
            (gradient,) = torch.autograd.grad(losses.total.sum(), free)
        return gradient


def optimise(
    step: Step, codes: Tensor, target: Target, steps: int, advance: Callable[[], object]
) -> Tensor:
    """The codes after all steps; only those of `LAYERS` are others.

    Args:
        step: Gives gradients.
        codes: `[1, 18, 512]`, those of `LAYERS` the fake's.
        target: The original.
        steps: How many; the learning rate falls at fixed shares of them.
        advance: Called after each step.
    """
    codes = codes.clone()
    free = nn.Parameter(codes[:, LAYERS].clone())
    adam = Adam([free], lr=RATE)
    schedule = MultiStepLR(adam, [int(share * steps) for share in MILESTONES], DECAY)
    for _ in range(steps):
        free.grad = step(codes, *target)
        adam.step()
        schedule.step()
        codes[:, LAYERS] = free.detach()
        advance()
    return codes
