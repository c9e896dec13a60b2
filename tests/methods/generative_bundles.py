"""What bundles of seeded random weights have in common: small sizes, and networks that answer."""

import torch
from torch import nn

from anonbench.generative.appearance import AppearancePrior
from anonbench.generative.demo_priors import DemoIdentity, LandmarkPrior
from anonbench.nets.fusion import FusionNetworks
from anonbench.nets.stylegan2 import Sizes

COEFFICIENTS = 8
SIZES = Sizes(image=128, style=16, channel_base=512, channel_max=16)


def awaken(networks: FusionNetworks) -> None:
    """Passwords and noise matter, and all bits are extracted, as after some training."""
    for name, parameter in networks.named_parameters():
        if "hiding_injects" in name and name.endswith(".weight") and parameter.ndim == 3:
            nn.init.constant_(parameter, 0.3)
        if name.endswith("noise.weight"):
            nn.init.constant_(parameter, 0.1)
    last = networks.hiding_extractor.conv1x1_output
    edges = torch.randn_like(last.weight)  # no answer to even areas, so that all bits occur
    last.weight = nn.Parameter(edges - edges.mean(dim=(2, 3), keepdim=True))
    nn.init.zeros_(last.bias)


def fitted_priors() -> dict[str, nn.Module]:
    """The demo's priors as random numbers fit them."""
    geometry, appearance = LandmarkPrior(COEFFICIENTS, width=8), AppearancePrior()
    nn.init.uniform_(geometry.mean, 0.2, 0.8)
    nn.init.normal_(geometry.basis, std=0.02)
    nn.init.uniform_(appearance.points, 30, 100)
    for values, spread in (
        (appearance.mean, 0.3),
        (appearance.down, 0.01),
        (appearance.up, 0.3),
    ):
        nn.init.normal_(values, std=spread)
    return {"identity": DemoIdentity(), "geometry": geometry, "appearance": appearance}
