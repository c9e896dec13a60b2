"""Bundles of G²Face with seeded random weights: everything works, nothing is recognisable."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from anonbench.generative.appearance import AppearancePrior
from anonbench.generative.demo_priors import DemoIdentity, LandmarkPrior
from anonbench.nets.fusion import Architecture
from anonbench.nets.stylegan2 import Sizes
from anonbench_g2face.checkpoints import BUNDLES
from anonbench_g2face.config import CODE, Variant
from anonbench_g2face.networks import G2FaceNetworks

COEFFICIENTS = 8
SIZES = Sizes(image=128, style=16, channel_base=512, channel_max=16)


def small(variant: Variant = CODE) -> Architecture:
    """A small 128-pixel architecture as a variant builds it."""
    return Architecture(
        SIZES,
        identity=128,
        geometry=COEFFICIENTS if variant.geometric_prior else 0,
        rows=(4, 4, 4),
        mask_norm=variant.mask_norm,
        mask_selects=variant.mask_selects,
        fusion=variant.fusion,
        extractor=variant.extractor,
        extractor_width=8,
    )


def write_bundle(path: Path, architecture: Architecture | None = None, seed: int = 0) -> Path:
    """A bundle for the checkpoint `demo`; passwords and noise matter, all bits are extracted."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = G2FaceNetworks(architecture or small())
        for name, parameter in networks.named_parameters():
            if "hiding_injects" in name and name.endswith(".weight") and parameter.ndim == 3:
                nn.init.constant_(parameter, 0.3)
            if name.endswith("noise.weight"):
                nn.init.constant_(parameter, 0.1)
        last = networks.hiding_extractor.conv1x1_output
        edges = torch.randn_like(last.weight)  # no answer to even areas, so that all bits occur
        last.weight = nn.Parameter(edges - edges.mean(dim=(2, 3), keepdim=True))
        nn.init.zeros_(last.bias)
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
        fitted = {"identity": DemoIdentity(), "geometry": geometry, "appearance": appearance}
        save_file(BUNDLES.pack(networks, fitted), path)
    return path
