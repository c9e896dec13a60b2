"""Bundles of G²Face with seeded random weights: everything works, nothing is recognisable."""

from pathlib import Path

import torch
from generative_bundles import COEFFICIENTS, SIZES, awaken, fitted_priors
from safetensors.torch import save_file

from anonbench.nets.fusion import Architecture
from anonbench_g2face.checkpoints import BUNDLES
from anonbench_g2face.config import CODE, Variant
from anonbench_g2face.networks import G2FaceNetworks


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


def write_bundle(
    path: Path, architecture: Architecture | None = None, seed: int = 0, *, half: bool = False
) -> Path:
    """A bundle for the checkpoint `demo`; passwords and noise matter, all bits are extracted."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = G2FaceNetworks(architecture or small())
        awaken(networks)
        save_file(BUNDLES.pack(networks, fitted_priors(), half=half), path)
    return path
