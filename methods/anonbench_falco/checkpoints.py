"""The four networks that FALCO puts together, none of which its authors trained."""

from collections.abc import Mapping
from dataclasses import dataclass

from safetensors.torch import load_file
from torch import Tensor, nn

from anonbench import weights
from anonbench.nets.e4e import Inverter
from anonbench.nets.farl import Farl
from anonbench.nets.ir_se50 import IrSe50
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.nets.stylegan2_files import load_generator

SIZES = Sizes(image=1024)
"""Of StyleGAN2."""

GENERATOR, INVERTER, RECOGNISER, ATTRIBUTES = (
    "stylegan2-ffhq1024",
    "e4e-ffhq1024",
    "ir-se50",
    "farl",
)
"""Names in the catalogue."""


@dataclass(frozen=True)
class Networks:
    """Trained networks, for inference, on one device.

    Attributes:
        generator: StyleGAN2 with its stored noise.
        mean: Its mean style, `[512]`.
        inverter: `[B, 3, 256, 256]` in `[0, 1]` to W+ codes `[B, 18, 512]`.
        recogniser: `[B, 3, 112, 112]` in `[0, 1]` to embeddings of length one.
        attributes: FaRL.
        digests: Of the weights on which a pool depends, by name.
    """

    generator: Generator
    mean: Tensor
    inverter: nn.Module
    recogniser: nn.Module
    attributes: Farl
    digests: Mapping[str, str]


def load_networks(device: str) -> Networks:
    """All of them, from the catalogue.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
    """
    weights.require_by_hand([GENERATOR, INVERTER, RECOGNISER, ATTRIBUTES])
    attributes = Farl.load(device)
    generator, mean = load_generator(GENERATOR, SIZES, device)
    path = weights.path(RECOGNISER)
    recogniser = IrSe50()
    load_state(recogniser, load_file(path), source=str(path))
    return Networks(
        generator=generator,
        mean=mean,
        inverter=Inverter.load(weights.path(INVERTER), SIZES.latents).to(device),
        recogniser=recogniser.eval().requires_grad_(False).to(device),
        attributes=attributes,
        digests={name: weights.digest(name) for name in (GENERATOR, ATTRIBUTES)},
    )
