"""A G²Face of 32 pixels to be trained."""

from typing import Any

import torch
from accelerate import Accelerator
from generative_world import SIZE, ToyPriors, toy_crops

from anonbench.generative.training_priors import Priors
from anonbench_g2face.settings import Settings
from anonbench_g2face.training import G2FaceTraining


def toy_settings(**changed: Any) -> Settings:
    """Small; one value after the other of `variant` and `weights` may be given by itself."""
    values: dict[str, Any] = {
        "image": SIZE,
        "style": 16,
        "channel_base": 256,
        "channel_max": 8,
        "rows": (4, 2, 2),
        "extractor_width": 8,
        "lpips": "alex",
        "warmup": 1,
        "r1_every": 2,
        "variant": {"generative_prior": False},
    }
    for key in ("variant", "weights"):
        values[key] = {**values.get(key, {}), **changed.pop(key, {})}
    return Settings.model_validate({**values, **changed})


def toy_training(settings: Settings, priors: Priors | None = None) -> G2FaceTraining:
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True)
    training = G2FaceTraining(settings, accelerator, toy_crops(), priors or ToyPriors())
    with torch.no_grad():  # so that bits and noise matter from the first step on
        for name, parameter in training.networks.named_parameters():
            if "hiding_injects" in name and parameter.ndim == 3 and "weight" in name:
                parameter.fill_(0.3)
    return training
