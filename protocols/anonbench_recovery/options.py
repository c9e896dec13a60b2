"""The settings of the recovery protocols, checked before anything is computed."""

from anonbench.measuring.images import ImageOptions
from anonbench.metrics.image_quality import Window
from anonbench.metrics.password import Guard


class RecoveryOptions(ImageOptions):
    """Settings of `recovery`: also the window of `anonbench.metrics.image_quality.ssim`."""

    ssim: Window


class PasswordOptions(ImageOptions):
    """Settings of `password`: also the guard of `anonbench.metrics.password`."""

    guard: Guard
