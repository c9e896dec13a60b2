"""A DR-DPGAN of 32 pixels to be trained."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from generative_world import SMALL, ToyPriors, awake, toy_crops
from safetensors.torch import save_file
from torch import Tensor, nn

from anonbench.generative.training_priors import Priors
from anonbench_drdpgan.settings import Settings
from anonbench_drdpgan.training import DrDpganTraining

OWN: dict[str, Any] = {
    "generative_prior": False,
    "code_bits": 64,
    "code_steps": 2,
    "code_settling": 2,
    "fake_limit": 20,
}


def toy_settings(**changed: Any) -> Settings:
    return Settings.model_validate({**SMALL, **OWN, **changed})


def toy_training(settings: Settings, priors: Priors | None = None) -> DrDpganTraining:
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True)
    training = DrDpganTraining(settings, accelerator, toy_crops(), priors or ToyPriors())
    awake(training.networks)
    return training


def parameters_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    """The parts of networks (by the first two names of a parameter) that have other values."""
    return {
        part_of(name)
        for name, value in module.named_parameters()
        if not torch.equal(value, before[name])
    }


def part_of(name: str) -> str:
    first, second, *_ = name.split(".")
    return f"{first}.{second}" if first == "anonymous_net" else first


def fitted_bundle(training: DrDpganTraining, path: Path) -> Path:
    """What a training exports, in a file."""
    save_file(dict(training.export()), path)
    return path
