"""How DR-DPGAN writes an identity as bits, the password, and reads it back (section 3.4).

The article describes a learned code (Figs. 2 and 3, Eqs. 2 to 4) but then converts the bits "back
to floats" with errors that only the bits of the floats themselves allow. Both readings are codes
here: `Ieee754` and `LearnedCode`. The injectors and the extractor of the decoder have room for the
32 bits of every float of an identity; a shorter code is repeated until it fills it.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from anonbench.errors import BadConfig
from anonbench.nets.float_bits import WIDTH, Guard, bits_to_floats, floats_to_bits
from anonbench.nets.stylegan2 import full_precision

_GOLDEN = (math.sqrt(5) - 1) / 2


class Code(Protocol):
    """Identities `[B, n]` as bits `[B, l]`, and these as the password `[B, n, 32]` of an image."""

    @property
    def count(self) -> int:
        """Number l of distinct bits."""

    def encode(self, identity: Tensor) -> Tensor:
        """Bits `[B, l]` (bool) of identities `[B, n]` (float32)."""

    def decode(self, bits: Tensor) -> Tensor:
        """Identities `[B, n]` (float32) of bits `[B, l]` (bool, or zeros and ones)."""

    def spread(self, bits: Tensor) -> Tensor:
        """The password `[B, n, 32]` that holds bits `[B, l]`, of their type."""

    def gather(self, logits: Tensor) -> Tensor:
        """Logits `[B, l]` from those of a password `[B, n, 32]`: the mean over the repeats."""


@dataclass(frozen=True)
class Ieee754:
    """The 32 bits of each float, as in G²Face: exact, and a wrong bit can weigh anything.

    Attributes:
        identity: Length n of an identity.
        guard: What becomes of implausible floats, see `anonbench.nets.float_bits`.
    """

    identity: int
    guard: Guard = "clamp50"

    @property
    def count(self) -> int:
        """Number of bits, 32 n."""
        return self.identity * WIDTH

    def encode(self, identity: Tensor) -> Tensor:
        """Bits `[B, 32 n]` of identities `[B, n]`, the most significant of a float first."""
        return floats_to_bits(identity).flatten(1)

    def decode(self, bits: Tensor) -> Tensor:
        """Identities `[B, n]` of bits `[B, 32 n]`."""
        return bits_to_floats(self.spread(bits), self.guard)

    def spread(self, bits: Tensor) -> Tensor:
        """The same bits as `[B, n, 32]`."""
        return bits.reshape(-1, self.identity, WIDTH)

    def gather(self, logits: Tensor) -> Tensor:
        """The same logits as `[B, 32 n]`."""
        return logits.flatten(1)


class LearnedCode(nn.Module):
    """A learned binary code and its decoder.

    The mapping is that of Figs. 2 and 3: three fully connected layers, then a sigmoid; each value
    becomes a bit by the mean of its own vector (Eqs. 3 and 4). Where the article is open, the
    reading is: ReLU after the first two layers (as in the fake identity generator), and dropout on
    these two, not on the third, whose neurons are the code itself. It starts as random projections,
    see `_mirrored`. The article names no inverse, although it needs one: `decoder` has no source.

    Args:
        identity: Length n of an identity.
        count: Length l of the code; it divides 32 n.
        width: Of the hidden layers, even; 0 for 2 n, the least that starts without a loss of rank.
        dropout: Probability of dropping a hidden neuron of the mapping in training.

    Raises:
        BadConfig: The code cannot be repeated to fill the password, or the width is odd.
    """

    places: Tensor
    bit_at: Tensor

    def __init__(self, identity: int, count: int, width: int = 0, dropout: float = 0.5) -> None:
        super().__init__()
        width = width or 2 * identity
        _check(identity, count, width)
        self.identity, self.count = identity, count
        self.mapping = nn.Sequential(
            _mirrored(identity, width, inputs=False),
            nn.ReLU(),
            nn.Dropout(dropout),
            _mirrored(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            _mirrored(width, count, outputs=False),
            nn.Sigmoid(),
        )
        self.decoder = CodeDecoder(count, width, identity)
        places = _places(identity * WIDTH, count)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("bit_at", places.flatten().argsort() % count, persistent=False)

    def quantised(self, identity: Tensor) -> Tensor:
        """Bits `[B, l]` as zeros and ones (float32) with the gradient of the sigmoid's values.

        The gradient passes the threshold as if it were not there (straight-through estimator:
        Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013).
        """
        with full_precision(identity):
            values = self.mapping(identity)
        bits: Tensor = above_mean(values) + (values - values.detach())
        return bits

    def encode(self, identity: Tensor) -> Tensor:
        """Bits `[B, l]` (bool) of identities `[B, n]`."""
        return self.quantised(identity.detach()) > 0

    def decode(self, bits: Tensor) -> Tensor:
        """Identities `[B, n]` of bits `[B, l]`; bits in float pass a gradient on."""
        with full_precision(bits):
            identity: Tensor = self.decoder(bits.float() * 2 - 1)
        return identity

    def spread(self, bits: Tensor) -> Tensor:
        """The password `[B, n, 32]` in which bits `[B, l]` are repeated 32 n / l times."""
        return bits[:, self.bit_at].reshape(-1, self.identity, WIDTH)

    def gather(self, logits: Tensor) -> Tensor:
        """The mean `[B, l]` of each bit's logits in those of a password `[B, n, 32]`."""
        return logits.flatten(1)[:, self.places].mean(dim=1)


class CodeDecoder(nn.Module):
    """Bits to floats: a linear map and, beside it, a perceptron that starts without effect.

    Args:
        count: Length l of the code.
        width: Of the hidden layer.
        identity: Length n of an identity.
    """

    def __init__(self, count: int, width: int, identity: int) -> None:
        super().__init__()
        self.linear = nn.Linear(count, identity)
        output = nn.Linear(width, identity, bias=False)
        nn.init.zeros_(output.weight)
        self.deep = nn.Sequential(nn.Linear(count, width), nn.ReLU(), output)

    def forward(self, signs: Tensor) -> Tensor:
        """Identities `[B, n]` of bits `[B, l]`, each -1 or 1."""
        identity: Tensor = self.linear(signs) + self.deep(signs)
        return identity


def _mirrored(wide: int, high: int, *, inputs: bool = True, outputs: bool = True) -> nn.Linear:
    """A linear layer whose mirrored neurons let the ReLU beside them pass everything.

    Of each pair of outputs one is the negative of the other, and of each pair of inputs the layer
    takes the difference, so that ReLU layers of this kind start as one orthogonal projection. The
    signs of random projections keep directions (Charikar, "Similarity estimation techniques from
    rounding algorithms", 2002); those of PyTorch's initial layers lost three times as much.

    Source: the "looks linear" initialisation of Balduzzi et al., "The shattered gradients problem"
    (2017).

    Args:
        wide: Inputs.
        high: Outputs.
        inputs: The inputs are such pairs.
        outputs: The outputs are to be.
    """
    layer = nn.Linear(wide, high)
    block = torch.empty(high // (1 + outputs), wide // (1 + inputs))
    nn.init.orthogonal_(block)
    block = torch.cat([block, -block], dim=1) if inputs else block
    block = torch.cat([block, -block], dim=0) if outputs else block
    with torch.no_grad():
        layer.weight.copy_(block)
        layer.bias.zero_()
    return layer


def above_mean(values: Tensor) -> Tensor:
    """Whether values `[B, l]` reach the mean of their own vector, bool `[B, l]` (Eqs. 3 and 4)."""
    return values >= values.mean(dim=1, keepdim=True)


def _check(identity: int, count: int, width: int) -> None:
    room = identity * WIDTH
    if count < 1 or room % count:
        raise BadConfig(
            f"A code of {count} bits cannot be repeated to fill the {room} bits that an identity "
            f"of {identity} floats has room for.",
            mend=f"Choose a length that divides {room}, e.g. {identity * 4}.",
        )
    if width % 2:
        raise BadConfig(
            f"The code's hidden layers cannot be {width} wide.", mend="Use an even width."
        )


def _places(room: int, count: int) -> Tensor:
    """Where in a password of `room` bits the repeats of each bit lie: `[repeats, count]`.

    The extractor reads the password row by row from a square of positions in the image. Each
    repeat of the code takes the next rows and is rotated by a further golden section of a row, so
    that the repeats of a bit form a lattice: a damaged part of the image spares most of them.
    """
    repeats = torch.arange(room // count)[:, None]
    rotation = (repeats * _GOLDEN % 1 * math.isqrt(room)).long()
    return repeats * count + (torch.arange(count) + rotation) % count
