"""Losses that face anonymizers are trained with, each a mean over the batch, in float32.

Equations are those of Yang et al., "G²Face: High-Fidelity Reversible Face Anonymization via
Generative and Geometric Priors" (2024). LPIPS, the other half of Eq. 11, is `anonbench.nets.lpips`;
the geometry loss (Eqs. 17-20) belongs to the method.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Reduction = Literal["sum", "mean"]


def reconstruction_l1(output: Tensor, target: Tensor, reduction: Reduction) -> Tensor:
    """The L1 norm in Eq. 11, between images `[B, ...]`.

    Args:
        output: What the network made.
        target: What it should have made.
        reduction: Over an image: its norm is the `sum` as written, the authors' code has the
            `mean`.
    """
    per_image = (output.float() - target.float()).abs().flatten(1)
    return (per_image.sum(dim=1) if reduction == "sum" else per_image.mean(dim=1)).mean()


def cosine_towards(a: Tensor, b: Tensor) -> Tensor:
    """`1 - cos` of embeddings `[B, n]`: Eq. 14, and the first part of Eq. 13."""
    return (1 - functional.cosine_similarity(a.float(), b.float())).mean()


def cosine_away(a: Tensor, b: Tensor) -> Tensor:
    """`max(0, cos)` of embeddings `[B, n]`: the second part of Eq. 13."""
    return functional.cosine_similarity(a.float(), b.float()).relu().mean()


def diversity(embeddings: Tensor, over: Literal["pairs", "all"]) -> Tensor:
    """How alike dummy identities `[N, n]` are: the mean of `max(0, cos)`, Eqs. 15 and 16.

    Args:
        embeddings: One per image of the batch.
        over: Divide the sum by the N(N-1) `pairs` as written, or by `all` N² as the authors' code
            does. A single embedding has no pair; its loss is 0.
    """
    count = len(embeddings)
    x = embeddings.float()
    alike = functional.cosine_similarity(x[:, None], x[None], dim=2).relu()
    others = alike * (1 - torch.eye(count, device=x.device))
    return others.sum() / max(1, count * (count - 1 if over == "pairs" else count))


def hiding_loss(logits: Tensor, bits: Tensor) -> Tensor:
    """Binary cross-entropy of extracted logits against the hidden bits 0 and 1 (Eq. 21)."""
    return functional.binary_cross_entropy_with_logits(logits.float(), bits.float())


def generator_loss(logits: Tensor) -> Tensor:
    """`log(1 + exp(-D(output)))`, the non-saturating loss of Eq. 12."""
    return functional.softplus(-logits.float()).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The logistic loss of logits for real and fake images, the counterpart of Eq. 12.

    The article does not write it out; it follows StyleGAN2 (Karras et al., 2020).
    """
    return generator_loss(real) + functional.softplus(fake.float()).mean()


def r1_penalty(real_logits: Tensor, real_images: Tensor) -> Tensor:
    """Squared norm of the discriminator's gradient at real images, itself differentiable.

    "Which Training Methods for GANs do actually Converge?" (Mescheder et al., 2018), without its
    factor 1/2; the authors of G²Face add 5 times this.

    Args:
        real_logits: `[B, 1]`.
        real_images: `[B, 3, H, W]`, what the logits were computed from; must require gradients.
    """
    (gradient,) = torch.autograd.grad(real_logits.float().sum(), real_images, create_graph=True)
    return gradient.float().square().flatten(1).sum(dim=1).mean()
