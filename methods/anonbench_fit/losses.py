"""The losses of FIT that no other method has, each a mean over the batch, in float32.

Equations are those of Gu et al. (2020); where they leave something open, the authors' code decides.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from anonbench.nets.sphereface import AngularLogits
from anonbench_fit.critics import NIBBLE

_LEAST, _FIRST, _FALL = 5.0, 1500.0, 0.1


def least_squares(patches: Sequence[Tensor], *, real: bool) -> Tensor:
    """The loss of LSGAN: squared distance to 1, of images that are to pass for real, or to 0."""
    wanted = 1.0 if real else 0.0
    return torch.stack([(patch.float() - wanted).square().mean() for patch in patches]).sum()


def password_loss(logits: Tensor, bits: Tensor) -> Tensor:
    """Cross-entropy of a password's four nibbles, summed (Eq. 5).

    Args:
        logits: `[B, 4, 16]`.
        bits: The password that the generator was given, `[B, 16]` bool.
    """
    places = 2 ** torch.arange(NIBBLE - 1, -1, -1, device=bits.device)
    nibbles = (bits.view(len(bits), -1, NIBBLE) * places).sum(dim=2)
    each = functional.cross_entropy(logits.float().mT, nibbles, reduction="none")
    return each.sum(dim=1).mean()


def angular_loss(logits: AngularLogits, people: Tensor, calls: int) -> Tensor:
    """The loss of SphereFace (Liu et al., 2017), whose margin grows as training goes on.

    The right person's logit is `(λ cos θ + ψ(θ)) / (1 + λ)` times |x|, with
    λ = max(5, 1500 / (1 + 0.1 calls)) as in clcarwin/sphereface_pytorch.

    Args:
        logits: Of B images.
        people: Who they show, `[B]` int64.
        calls: How often this loss had been computed before.
    """
    share = 1 / (1 + max(_LEAST, _FIRST / (1 + _FALL * (calls + 1))))
    right = functional.one_hot(people, logits.cosine.shape[1]).bool()
    mixed = torch.lerp(logits.cosine.float(), logits.margin.float(), share)
    return functional.cross_entropy(torch.where(right, mixed, logits.cosine.float()), people)
