"""FALCO's networks, narrow: what they compute means nothing, and every promise must hold."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.nets.farl import Farl, Geometry
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.testing.randomness import isolated
from anonbench_falco.checkpoints import Networks

SIZES = Sizes(image=64, channel_max=8)
"""Ten W+ codes, of which the first three and the last two stay the original's."""


class SmallRecogniser(nn.Module):
    """Takes crops in `[0, 1]` to `[-1, 1]` and to embeddings of length one, as IR-SE50 does."""

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.Sequential(
            nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 14 * 14, 32), nn.Tanh(), nn.Linear(32, 16)
        )

    def forward(self, crops: Tensor) -> Tensor:
        embeddings: Tensor = self.core((crops - 0.5) / 0.5)
        return functional.normalize(embeddings)


class SmallInverter(nn.Module):
    """Codes that the colours of 4 x 4 fields decide."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.AvgPool2d(64), nn.Flatten(), nn.Linear(48, SIZES.latents * SIZES.style)
        self.layers = nn.Sequential(*layers, nn.Unflatten(1, (SIZES.latents, SIZES.style)))

    def forward(self, images: Tensor) -> Tensor:
        codes: Tensor = self.layers(images)
        return codes


def small_networks(device: str = "cpu") -> Networks:
    with isolated(0):
        generator = Generator(SIZES, depth=2)
        for noise in generator.noises.buffers():
            noise.copy_(torch.randn(noise.shape))
        inverter = SmallInverter()
        attributes = Farl(Geometry(image=32, width=32, depth=2, heads=2, features=16))
        recogniser = SmallRecogniser()
        mean = torch.randn(SIZES.style) * 0.1
    for net in (generator, inverter, attributes, recogniser):
        net.eval().requires_grad_(False)
    return Networks(
        generator=generator,
        mean=mean,
        inverter=inverter,
        recogniser=recogniser,
        attributes=attributes,
        digests={"generator": "0", "attributes": "0"},
    )
