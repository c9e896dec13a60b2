"""The learned code's own training, before that of the networks, and how good a code is.

The article gives no loss for its binary code mapping: as the target of Eq. 15 the bits receive no
gradient. Randomness is torch's; progress is logged.
"""

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench_drdpgan.codes import Code, LearnedCode

_LOG = logging.getLogger(__name__)


def fit_code(
    code: LearnedCode,
    embeddings: Tensor,
    steps: int,
    settling: int,
    *,
    batch: int = 256,
    rate: float = 1e-3,
    balance: float = 1.0,
    flips: float = 0.0,
) -> None:
    """Teach a code to keep identities, and leave it in evaluation mode.

    The decoder's linear part starts as the best one for the bits of the untrained mapping. Mapping
    and decoder then learn together, the mapping with its dropout. As the decoder has so far seen
    only bits disturbed by that, it goes on alone with the bits of the finished mapping, again from
    the best linear part. Without any step the code is one of random projections.

    Args:
        code: The code.
        embeddings: Identities `[N, n]`, on the code's device.
        steps: Of both together, by Adam.
        settling: Further ones, of the decoder alone.
        batch: Identities per step.
        rate: Highest learning rate of each phase.
        balance: Weight of `imbalance` beside the mean square error.
        flips: Share of the bits that are wrong when the decoder reads them.
    """

    def joint_loss() -> Tensor:
        identity = embeddings[torch.randint(len(embeddings), (batch,))]
        bits = code.quantised(identity)
        error = functional.mse_loss(code.decode(_flipped(bits, flips)), identity)
        return error + balance * imbalance(bits)

    code.eval()
    _solve_linear(code, _flipped(code.encode(embeddings).float(), flips), embeddings)
    code.train()
    _descend(joint_loss, code.parameters(), steps, rate)
    code.eval()
    bits = code.encode(embeddings)
    _solve_linear(code, _flipped(bits.float(), flips), embeddings)

    def decoder_loss() -> Tensor:
        drawn = torch.randint(len(bits), (batch,))
        read = _flipped(bits[drawn].float(), flips)
        return functional.mse_loss(code.decode(read), embeddings[drawn])

    _descend(decoder_loss, code.decoder.parameters(), settling, rate)


@torch.no_grad()
def _solve_linear(code: LearnedCode, bits: Tensor, embeddings: Tensor) -> None:
    """Set the decoder's linear part so that bits `[N, l]` give embeddings best (ridge regression).

    The normal equations are solved on the processor in float64: quick, and the same everywhere.
    """
    signs = bits * 2 - 1
    rest = (embeddings - code.decoder.deep(signs)).double().cpu()
    known = torch.cat([signs, torch.ones_like(signs[:, :1])], dim=1).double().cpu()
    moments = known.T @ known + torch.eye(known.shape[1], dtype=known.dtype)
    solution = torch.linalg.solve(moments, known.T @ rest)
    code.decoder.linear.weight.copy_(solution[:-1].T)
    code.decoder.linear.bias.copy_(solution[-1])


def imbalance(bits: Tensor) -> Tensor:
    """How one-sided bits `[B, l]` are: 0 if each is one in half of the batch, 1 if none varies."""
    return (2 * bits.mean(dim=0) - 1).square().mean()


class Quality(NamedTuple):
    """What a code keeps of identities.

    Attributes:
        fmse: Mean square error of the decoded floats.
        cosine: Mean cosine of decoded and true identities.
        imbalance: Of the code's bits over all identities, see `imbalance`.
    """

    fmse: float
    cosine: float
    imbalance: float


@torch.no_grad()
def measure(code: Code, identity: Tensor, flips: float = 0.0) -> Quality:
    """Quality of a code for identities `[N, n]` when a share of its bits is read wrongly."""
    bits = code.encode(identity)
    decoded = code.decode(_flipped(bits.float(), flips) > 0.5)
    return Quality(
        fmse=float(functional.mse_loss(decoded, identity)),
        cosine=float(functional.cosine_similarity(decoded, identity, dim=1).mean()),
        imbalance=float(imbalance(bits.float())),
    )


def _flipped(bits: Tensor, share: float) -> Tensor:
    """Bits (zeros and ones) of which each is wrong with a probability of `share`."""
    wrong = torch.rand_like(bits) < share
    return torch.where(wrong, 1 - bits, bits)


def _descend(
    loss: Callable[[], Tensor],
    parameters: Iterable[nn.Parameter],
    steps: int,
    rate: float,
) -> None:
    optimizer = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1)
    for step in range(steps):
        value = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            _LOG.info("code, step %d of %d: loss %.4f", step, steps, float(value.detach()))
