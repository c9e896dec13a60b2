"""The file that holds what a training of FIT made.

That is the generator (`generator.`) and, for each of its batch normalisations, mean and variance of
a reference batch in both stages (`reference.anonymize.LAYER.mean`, `reference.recover.LAYER.var`),
so that nobody needs that batch to run it. Its `about` says in JSON how it was trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from anonbench.errors import BadData
from anonbench.nets.state import load_state
from anonbench_fit.networks import Generator, Scheme
from anonbench_fit.reference import Stages, fixed_by, normalisations, sharing

_ABOUT = "about"
_STAGES = ("anonymize", "recover")
_STATISTICS = {"mean": "running_mean", "var": "running_var"}


@dataclass(frozen=True)
class About:
    """What a bundle says of itself.

    Attributes:
        scheme: Amplitude of the passwords that the generator was trained with.
        side: Of the reference batch's crops in pixels.
        format: Whose bundle it is.
        version: Of this format.
    """

    scheme: Scheme
    side: int
    format: Literal["fit"] = "fit"
    version: Literal[1] = 1


@dataclass(frozen=True)
class Bundle:
    """A bundle, read and ready for inference.

    Attributes:
        about: What it says of itself.
        generator: Which normalises by the batch at hand.
        stages: The same by the statistics in the bundle.
    """

    about: About
    generator: Generator
    stages: Stages


def pack(
    generator: Generator,
    scheme: Scheme,
    faces: Tensor,
    *,
    half: bool = False,
    stages: Stages | None = None,
) -> dict[str, Tensor]:
    """The tensors of a bundle, by their names in the file.

    Args:
        generator: The trained one; it is left as it is.
        scheme: Amplitude of the passwords that it was trained with.
        faces: The reference batch `[B, 3, S, S]` in `[0, 1]`, on the generator's device.
        half: Store the generator in half precision; the statistics are then those of the stored.
        stages: Where there are, those whose statistics it was trained with, in place of the
            reference batch's.

    Raises:
        BadData: A number is not finite, or becomes so in half precision.
    """
    state = generator.state_dict()
    stored = {key: value.half() if half else value for key, value in state.items()}
    stages = stages or fixed_by(_loaded(stored, "The generator"), scheme, faces)
    tensors = {f"generator.{key}": value for key, value in stored.items()}
    for stage, net in zip(_STAGES, stages, strict=True):
        for layer, norm in normalisations(net).items():
            for name, attribute in _STATISTICS.items():
                tensors[f"reference.{stage}.{layer}.{name}"] = getattr(norm, attribute)
    bad = [key for key, value in tensors.items() if not bool(value.isfinite().all())]
    if bad:
        raise BadData(f"Numbers of FIT are not finite: {', '.join(bad[:8])}.")
    described = bytearray(_ADAPTER.dump_json(About(scheme, faces.shape[-1])))
    return {**tensors, _ABOUT: torch.frombuffer(described, dtype=torch.uint8)}


def read(path: Path) -> Bundle:
    """What a bundle holds.

    Raises:
        BadData: It is no bundle, or not all in it fits.
    """
    try:
        tensors = load_file(path)
        about = _ADAPTER.validate_json(tensors.pop(_ABOUT, torch.empty(0)).numpy().tobytes())
    except (OSError, SafetensorError, ValueError) as error:
        raise BadData(
            f"{path} is no bundle of FIT.",
            why=str(error).splitlines()[0],
            mend="Name the model.safetensors that `anonbench train fit` wrote. The authors' "
            "checkpoint is imported: anonbench weights import fit FILE",
        ) from error
    generator = _loaded(_part(tensors, "generator"), str(path))
    stages = [
        _normalised(generator, _part(tensors, f"reference.{stage}"), str(path)) for stage in _STAGES
    ]
    return Bundle(about, generator, Stages(*stages))


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _loaded(state: Mapping[str, Tensor], source: str) -> Generator:
    """A generator of a state dict's size with its numbers, in single precision, for inference."""
    generator = Generator.of_state(state)
    load_state(generator, state, source=source, assign=True)
    return generator.eval().requires_grad_(False)


def _normalised(generator: Generator, statistics: Mapping[str, Tensor], source: str) -> Generator:
    """A copy of the generator that goes by statistics, by their names in a stage."""
    fixed = sharing(generator)
    for norm in normalisations(fixed).values():
        norm.running_mean, norm.running_var = torch.empty(2, norm.num_features)
    buffers = {
        f"{layer}.{_STATISTICS.get(name, name)}": value
        for key, value in statistics.items()
        for layer, _, name in [key.rpartition(".")]
    }
    load_state(fixed, {**generator.state_dict(), **buffers}, source=source)
    return fixed


_ADAPTER = TypeAdapter(About)
