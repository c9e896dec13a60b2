"""Statistics of a fixed batch for the generator's normalisations, so that no batch decides.

FIT's authors normalise by the batch at hand, also when they test: an image comes out differently in
other company. Here each layer's mean and variance are taken once from a reference batch, as in
virtual batch normalisation (Salimans et al., NeurIPS 2016).
"""

import copy

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from anonbench import registry, weights
from anonbench.data.lfw import Lfw
from anonbench.interfaces import Dataset
from anonbench_fit.networks import Generator

COUNT = 12
"""Images of the reference batch: as many as the layers saw at a time in training, per GPU."""


def reference_ids(dataset: Dataset) -> list[str]:
    """The first images of 12 people of LFW whom no pair names, evenly spread over the alphabet."""
    named = {sample for pair in dataset.pairs() for sample in (pair.a, pair.b)}
    taken = {sample.identity for sample in dataset.samples() if sample.id in named}
    first: dict[str, str] = {}
    for sample in dataset.samples():
        if sample.identity not in taken:
            first.setdefault(sample.identity, sample.id)
    ids = list(first.values())
    return [ids[place * len(ids) // COUNT] for place in range(min(COUNT, len(ids)))]


def reference_faces(side: int) -> Tensor:
    """The reference batch `[12, 3, side, side]` in `[0, 1]`: whole frames of LFW.

    They are scaled bicubically by Pillow and rounded to 8 bits, as the authors' are.

    Raises:
        MissingArtefact: LFW has not been fetched.
    """
    dataset = Lfw(registry.datasets.card("lfw"), weights.path("lfw"))
    frames = [Image.fromarray(dataset.read(sample)) for sample in reference_ids(dataset)]
    pixels = [np.asarray(f.resize((side, side), Image.Resampling.BICUBIC)) for f in frames]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def normalised_by(generator: Generator, images: Tensor, code: Tensor) -> tuple[Generator, Tensor]:
    """A copy of the generator that always normalises by the statistics of one batch.

    Args:
        generator: In evaluation mode; it is left as it is.
        images: `[B, 3, H, W]` in `[-1, 1]`.
        code: `[B, 16]` of `password_code`.

    Returns:
        The copy, and what the batch itself comes to, `[B, 3, H, W]` in `[-1, 1]`.
    """
    fixed = copy.deepcopy(generator)
    norms = [module for module in fixed.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_record) for norm in norms]
    output: Tensor = fixed(images, code)
    for hook in hooks:
        hook.remove()
    return fixed, output


def _record(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Fix the statistics of a layer before it runs; in evaluation mode it then goes by them."""
    norm.running_var, norm.running_mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
