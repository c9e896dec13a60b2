"""The settings of the utility protocol, checked before anything is computed."""

from pydantic import Field

from anonbench.measuring.images import ImageOptions
from anonbench.metrics.geometry import PointNorm


class UtilityOptions(ImageOptions):
    """Settings of `utility`.

    Attributes:
        points: How distances of landmarks become one; see `geometry.point_distances`.
        small_sample: Whether a Fréchet distance is computed from fewer images than the features
            have dimensions, where a covariance is singular.
        kernel_images: How many images are behind a kernel distance, chosen at random; their
            features are held in memory.
    """

    points: PointNorm
    small_sample: bool
    kernel_images: int = Field(ge=2)
