"""The settings of the recovery protocols, checked before anything is computed."""

from anonbench.measuring.images import ImageOptions
from anonbench.metrics.image_quality import Window


class RecoveryOptions(ImageOptions):
    """Settings of `recovery`: also the window of `anonbench.metrics.image_quality.ssim`."""

    ssim: Window
