"""The settings of the recovery protocols, checked before anything is computed."""

from typing import Literal

from pydantic import Field

from anonbench.measuring import Settings
from anonbench.metrics.image_quality import Window
from anonbench.metrics.password import Guard


class ImageOptions(Settings):
    """Settings of both protocols.

    Attributes:
        images: `probes`: the second images of the dataset's genuine pairs, those that `lfw-tar`
            publishes, so that what was computed for one protocol serves the other. `all`: every
            image.
        bootstrap: Replicates behind the confidence interval.
        bootstrap_seed: Seed of the replicates.
    """

    images: Literal["probes", "all"]
    bootstrap: int = Field(ge=100)
    bootstrap_seed: int = Field(ge=0)


class RecoveryOptions(ImageOptions):
    """Settings of `recovery`: also the window of `anonbench.metrics.image_quality.ssim`."""

    ssim: Window


class PasswordOptions(ImageOptions):
    """Settings of `password`: also the guard of `anonbench.metrics.password`."""

    guard: Guard
