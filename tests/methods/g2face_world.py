"""A G²Face of 32 pixels to be trained."""

from typing import Any

import torch
from accelerate import Accelerator
from generative_world import SMALL, ToyPriors, awake, toy_crops

from anonbench.generative.training_priors import Priors
from anonbench_g2face.settings import Settings
from anonbench_g2face.training import G2FaceTraining


def toy_settings(**changed: Any) -> Settings:
    """Small; one value after the other of `variant` and `weights` may be given by itself."""
    values = {**SMALL, "variant": {"generative_prior": False}}
    for key in ("variant", "weights"):
        values[key] = {**values.get(key, {}), **changed.pop(key, {})}
    return Settings.model_validate({**values, **changed})


def toy_training(settings: Settings, priors: Priors | None = None) -> G2FaceTraining:
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True)
    training = G2FaceTraining(settings, accelerator, toy_crops(), priors or ToyPriors())
    awake(training.networks)
    return training
