"""How far two images are apart: MAE, MSE, PSNR and SSIM of images in `[0, 1]`.

Images are `[H, W, C]` with the range 1, so a mean absolute error on `[-1, 1]`, as some papers'
code computes it, is twice the one here, and PSNR is that of 8-bit images.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating]
Maps = NDArray[np.float64]
Window = Literal["gaussian", "uniform"]

_C1, _C2 = 0.01**2, 0.03**2


def mean_absolute_error(first: Image, second: Image) -> float:
    """Mean of the absolute differences over pixels and channels, in `[0, 1]`."""
    return float(np.abs(_wide(first) - _wide(second)).mean())


def mean_squared_error(first: Image, second: Image) -> float:
    """Mean of the squared differences over pixels and channels, in `[0, 1]`."""
    return float(np.square(_wide(first) - _wide(second)).mean())


def psnr(squared_error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error at range 1; infinite for 0."""
    return -10 * math.log10(squared_error) if squared_error > 0 else math.inf


def ssim(first: Image, second: Image, window: Window = "gaussian") -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004), at most 1, mean over channels.

    K1 = 0.01 and K2 = 0.03. Only places where the whole window lies inside the image count.

    Args:
        first: `[H, W, C]` in `[0, 1]`.
        second: The same.
        window: `gaussian`: 11 x 11 with sigma 1.5, as in the paper. `uniform`: 7 x 7 with sample
            variances, the default of scikit-image.

    Raises:
        ValueError: The image is smaller than the window.
    """
    from scipy.ndimage import correlate1d  # takes a while to import; a finished run needs none

    kernel = _kernel(window)
    if min(first.shape[:2]) < len(kernel):
        raise ValueError(f"an image of {first.shape[:2]} is smaller than the window")
    x, y = _wide(first), _wide(second)
    maps = np.stack([x, y, x * x, y * y, x * y])
    for axis in (1, 2):
        maps = correlate1d(maps, kernel, axis=axis)
    edge = len(kernel) // 2
    mean_x, mean_y, xx, yy, xy = maps[:, edge:-edge, edge:-edge]
    samples = len(kernel) ** 2
    unbiased = samples / (samples - 1) if window == "uniform" else 1.0
    variances = unbiased * (xx - mean_x**2 + yy - mean_y**2)
    covariance = unbiased * (xy - mean_x * mean_y)
    alike = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float((alike / ((mean_x**2 + mean_y**2 + _C1) * (variances + _C2))).mean())


def _kernel(window: Window) -> Maps:
    """One axis of the separable window; its sum is 1."""
    if window == "uniform":
        return np.full(7, 1 / 7)
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    normalised: Maps = weights / weights.sum()
    return normalised


def _wide(image: Image) -> Maps:
    return image.astype(np.float64)
