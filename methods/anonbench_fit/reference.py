"""Statistics of a fixed batch for the generator's normalisations, so that no batch decides.

FIT's authors normalise by the batch at hand, also when they test: an image comes out differently in
other company. Here each layer's mean and variance are taken once from a reference batch, as in
virtual batch normalisation (Salimans et al., NeurIPS 2016).
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from anonbench import registry, weights
from anonbench.data.lfw import Lfw
from anonbench.interfaces import Dataset
from anonbench.values import sample_key
from anonbench_fit.networks import Generator, Scheme, password_code
from anonbench_fit.passwords import drawn_bits

COUNT = 12
"""Images of the reference batch: as many as the layers saw at a time in training, per GPU."""


class Stages(NamedTuple):
    """The generator as both of its stages use it."""

    anonymizer: Generator
    recoverer: Generator


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


def fixed_by(generator: Generator, scheme: Scheme, faces: Tensor) -> Stages:
    """Both stages with the statistics of some faces: a recipient's images are anonymized ones.

    Args:
        generator: In evaluation mode; it is left as it is, and its parameters are shared.
        scheme: Amplitude of its passwords.
        faces: `[B, 3, S, S]` in `[0, 1]`; each gets a password of its own.
    """
    code = password_code(drawn_bits([sample_key(0, f"{i}") for i in range(len(faces))]), scheme)
    code = code.to(faces.device)
    anonymizer, anonymized = normalised_by(generator, faces * 2 - 1, code)
    published = ((anonymized + 1) * 127.5).round() / 127.5 - 1
    recoverer, _ = normalised_by(generator, published, -code)
    return Stages(anonymizer, recoverer)


@torch.no_grad()
def normalised_by(generator: Generator, images: Tensor, code: Tensor) -> tuple[Generator, Tensor]:
    """A copy of the generator that always normalises by the statistics of one batch.

    Args:
        generator: In evaluation mode; it is left as it is, and its parameters are shared.
        images: `[B, 3, H, W]` in `[-1, 1]`.
        code: `[B, 16]` of `password_code`.

    Returns:
        The copy, and what the batch itself comes to, `[B, 3, H, W]` in `[-1, 1]`.
    """
    fixed = sharing(generator)
    hooks = [norm.register_forward_pre_hook(_record) for norm in normalisations(fixed).values()]
    output: Tensor = fixed(images, code)
    for hook in hooks:
        hook.remove()
    return fixed, output


class Statistics(nn.Module):
    """The statistics that both stages of a generator go by, as the state of a training.

    Args:
        generator: Of the right size.
    """

    taken: Tensor

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.register_buffer("taken", torch.tensor(False))
        for stage in Stages._fields:
            for layer, norm in normalisations(generator).items():
                for name in _STATISTICS:
                    self.register_buffer(_buffer(stage, layer, name), torch.ones(norm.num_features))

    def take(self, stages: Stages) -> None:
        """Keep the statistics of these."""
        for norm, name, kept in self._of(stages):
            kept.copy_(norm.get_buffer(name))
        self.taken.fill_(True)

    def apply_to(self, generator: Generator) -> Stages:
        """Both stages of a generator, whose parameters they share, by the kept statistics."""
        stages = Stages(*(sharing(generator).eval() for _ in Stages._fields))
        for norm, name, kept in self._of(stages):
            setattr(norm, name, kept)
        return stages

    def _of(self, stages: Stages) -> Iterator[tuple[nn.BatchNorm2d, str, Tensor]]:
        for stage, net in stages._asdict().items():
            for layer, norm in normalisations(net).items():
                for name in _STATISTICS:
                    yield norm, name, self.get_buffer(_buffer(stage, layer, name))


_STATISTICS = ("running_mean", "running_var")


def _buffer(stage: str, layer: str, name: str) -> str:
    return f"{stage} {layer} {name}".replace(".", "/")


def sharing(generator: Generator) -> Generator:
    """A copy that has the very parameters of the original."""
    return copy.deepcopy(generator, {id(own): own for own in generator.parameters()})


def normalisations(generator: Generator) -> dict[str, nn.BatchNorm2d]:
    """Its batch normalisations by name."""
    found = generator.named_modules()
    return {name: module for name, module in found if isinstance(module, nn.BatchNorm2d)}


def _record(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Fix the statistics of a layer before it runs; in evaluation mode it then goes by them."""
    norm.running_var, norm.running_mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
