"""The fake identity generator (FIG) of DR-DPGAN: Algorithm 1, and what Eq. 11 makes of its output.

A perceptron of two layers turns noise into a direction in the recogniser's space, the fake
identity, whose cosine to the original identity shall end in a range. The article trains the
perceptron until one image's fake identity lies there and does not say whether the weights are kept
for the next image. Here they are not: `training_loss` is the same loss averaged over many images,
for training, and `refine` finishes every image on a copy of the trained weights.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from anonbench.errors import BadConfig
from anonbench.nets.stylegan2 import full_precision


@dataclass(frozen=True)
class Range:
    """Cosines to the original identity that a fake one may have, borders included.

    Attributes:
        low: s_min; higher than that of random noise, says section 3.2.
        high: s_max; lower than that of two images of one person.

    Raises:
        BadConfig: The borders are not in order within -1..1.
    """

    low: float = 0.1
    high: float = 0.4

    def __post_init__(self) -> None:
        if not -1 <= self.low <= self.high <= 1:
            raise BadConfig(
                f"No cosine lies between {self.low} and {self.high}.",
                mend="Give the lower border first, both within -1..1.",
            )


PAPER_RANGE = Range()


class FakeIdentity(nn.Module):
    """E_Fake: noise to identities of length one (Algorithm 1, lines 4 to 6).

    Args:
        identity: Length of an identity. The hidden layer, whose width the article does not give,
            is as wide.
        noise: Length d of the noise; 0 for that of an identity.
    """

    def __init__(self, identity: int, noise: int = 0) -> None:
        super().__init__()
        self.hidden = nn.Linear(noise or identity, identity)
        self.output = nn.Linear(identity, identity)

    def forward(self, z: Tensor) -> Tensor:
        """Noise `[B, d]` from N(0, 1) to fake identities `[B, n]`."""
        return functional.normalize(self.output(torch.relu(self.hidden(z))), dim=1)


def hinge(identity: Tensor, dummy: Tensor, low: float, high: float) -> Tensor:
    """How far `[B]` the cosine of identities `[B, n]` and fake ones lies outside a range (line 8).

    Zero from `low` to `high`, both included.
    """
    return _excess(functional.cosine_similarity(identity, dummy, dim=1), Range(low, high))


def _excess(cosine: Tensor, wanted: Range) -> Tensor:
    return torch.relu(cosine - wanted.high) + torch.relu(wanted.low - cosine)


def training_loss(
    fake: FakeIdentity, z: Tensor, identity: Tensor, wanted: Range = PAPER_RANGE
) -> Tensor:
    """The mean hinge of a batch: Algorithm 1's loss for all images at once.

    Descending it (line 9) brings the generator where `refine` has few steps left to do. It cannot
    replace `refine`, as the generator sees only noise and not whose identity it is to approach.

    Args:
        fake: The generator; nothing else receives a gradient.
        z: Noise `[B, d]`.
        identity: Original identities `[B, n]` of any length.
        wanted: The range; the article's by default.

    Returns:
        A scalar.
    """
    return hinge(identity.detach(), fake(z.detach()), wanted.low, wanted.high).mean()


class Refined(NamedTuple):
    """Fake identities as Algorithm 1 leaves them.

    Attributes:
        identity: `[B, n]`, of length one.
        cosine: `[B]`, to the original identity.
        steps: `[B]` (int64), updates of the weights until then.
        converged: `[B]` (bool): the cosine lies in the range.
    """

    identity: Tensor
    cosine: Tensor
    steps: Tensor
    converged: Tensor


def refine(
    fake: FakeIdentity,
    z: Tensor,
    identity: Tensor,
    wanted: Range = PAPER_RANGE,
    rate: float = 0.01,
    limit: int = 200,
) -> Refined:
    """Algorithm 1, lines 3 to 11, for every image on its own copy of the weights.

    The weights descend the hinge until the cosine lies in the range. Where it still does not after
    `limit` updates, the last vector is returned and marked as not converged: the article does not
    say what happens then. The generator itself stays as it is. One image follows the other, so
    that no image's result depends on its batch, not even in the last bit.

    Args:
        fake: The generator, whose weights every copy starts from.
        z: Noise `[B, d]`, drawn once per image (line 2).
        identity: Original identities `[B, n]` of any length.
        wanted: The range; the article's by default.
        rate: Learning rate η of plain gradient descent; the article gives none.
        limit: Updates at most. T_g, which the article does not give, counts the looks at the
            cosine, hence is one more.
    """
    # Copies of the rows: where a row lies in memory can change the last bits of its products.
    pairs = zip(z.detach(), identity.detach(), strict=True)
    with torch.enable_grad(), full_precision(z):
        each = [
            _refine_one(fake, noise[None].clone(), original[None].clone(), wanted, rate, limit)
            for noise, original in pairs
        ]
    return Refined(*(torch.cat(parts) for parts in zip(*each, strict=True)))


def _refine_one(
    fake: FakeIdentity, z: Tensor, identity: Tensor, wanted: Range, rate: float, limit: int
) -> Refined:
    weights = {
        name: value.detach().clone().requires_grad_() for name, value in fake.named_parameters()
    }
    steps = 0
    while True:
        dummy = functional_call(fake, weights, (z,))
        cosine = functional.cosine_similarity(identity, dummy, dim=1)
        loss = _excess(cosine, wanted)
        converged = loss == 0
        if bool(converged) or steps == limit:
            return Refined(dummy.detach(), cosine.detach(), z.new_tensor([steps]).long(), converged)
        _descend(list(weights.values()), loss, rate)
        steps += 1


def _descend(weights: list[Tensor], loss: Tensor, rate: float) -> None:
    """One step of plain gradient descent (line 9)."""
    gradients = torch.autograd.grad(loss.sum(), weights)
    with torch.no_grad():
        for value, gradient in zip(weights, gradients, strict=True):
            value.sub_(gradient, alpha=rate)


class IdentityFloor(NamedTuple):
    """Where the identity loss of the anonymization is least.

    Attributes:
        loss: Its least value.
        dummy: cos(F'_id, x) there.
        original: cos(F_id, x) there.
    """

    loss: float
    dummy: float
    original: float


def identity_loss_floor(cosine: float) -> IdentityFloor:
    """The least that Eq. 11 can reach, given the cosine c of F_id and F'_id.

    Eq. 11 is 1 - cos(F'_id, x) + max(0, cos(F_id, x)) for the identity x of the anonymized image.
    Write x = a F_id + b e + r with unit vectors, F'_id = c F_id + √(1 - c²) e and r perpendicular
    to both. For a >= 0 the loss is 1 + (1 - c) a - √(1 - c²) b, least at a = 0, b = 1. For a < 0
    the last term vanishes, and x = F'_id is best where it is allowed, that is for c < 0.

    So whenever the generator has done its work (c >= s_min > 0), Eq. 11 pulls the image away from
    the fake identity until it is perpendicular to the original one: out of [s_min, s_max].

    Raises:
        ValueError: The cosine is not within -1..1.
    """
    if not -1 <= cosine <= 1:
        raise ValueError(f"{cosine} is not a cosine")
    if cosine < 0:
        return IdentityFloor(loss=0.0, dummy=1.0, original=cosine)
    sine = math.sqrt(1 - cosine**2)
    return IdentityFloor(loss=1 - sine, dummy=sine, original=0.0)
