"""The networks that DR-DPGAN trains, and how they are built.

E_MLP, E_G, the fusion E_Ste, the StyleGAN2 blocks and E_P are those of `anonbench.nets.fusion`: the
article describes them as G²Face does. Its own are the fake identity generator and the binary code
mapping network.
"""

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from torch import Tensor
from torch.nn import functional

from anonbench.nets.float_bits import Guard
from anonbench.nets.fusion import Architecture, FusionNetworks
from anonbench_drdpgan.codes import Code, Ieee754, LearnedCode
from anonbench_drdpgan.fake_identity import FakeIdentity, Range

CodeName = Literal["ieee754", "learned"]

# Eqs. 6 and 7: masks are plain sigmoids and let the features of E_G through.
FUSION = partial(Architecture, mask_norm=False, mask_selects="face")


@dataclass(frozen=True)
class Build:
    """How the networks are built and what they were trained for.

    Attributes:
        architecture: Sizes and layers; without `fusion` there is no E_G, without `geometry` no
            3D prior constraint (two of the switches of Table 4).
        code: What is hidden: the identity's floats as they are, or a learned code of them.
        code_bits: Length l of the learned code.
        guided: Whether F_id controls the fake identity generator (the third switch).
        wanted: Cosines of fake and original identity that it aims at.
    """

    architecture: Architecture = field(default_factory=FUSION)
    code: CodeName = "ieee754"
    code_bits: int = 512
    guided: bool = True
    wanted: Range = field(default_factory=Range)

    @property
    def hidden_bits(self) -> int:
        """Different bits in an image."""
        return self.architecture.bits if self.code == "ieee754" else self.code_bits


class DrDpganNetworks(FusionNetworks):
    """All that DR-DPGAN trains.

    Args:
        build: The default is the 256-pixel network.
    """

    def __init__(self, build: Build | None = None) -> None:
        self.build = build or Build()
        super().__init__(self.build.architecture)
        identity = self.architecture.identity
        self.fake_identity = FakeIdentity(identity)
        if self.build.code == "learned":
            self.learned_code = LearnedCode(identity, self.build.code_bits)

    def code(self, guard: Guard) -> Code:
        """How identities become bits and bits identities.

        Args:
            guard: What is done about implausible floats, where the bits are a float's own.
        """
        if self.build.code == "learned":
            return self.learned_code
        return Ieee754(self.architecture.identity, guard)


def steering(identity: Tensor) -> Tensor:
    """Identities `[B, n]` as they enter F_concat (Eq. 1): of length √n, whatever they were.

    Fake identities come with length one, those of the recogniser with about √n; only their
    directions mean the same, and the mapping network expects values of about N(0, 1).
    """
    directions = functional.normalize(identity.float(), dim=1)
    return directions * math.sqrt(identity.shape[1])
