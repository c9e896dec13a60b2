"""Image quality against scikit-image and torchmetrics, and by hand."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from anonbench.metrics.image_quality import mean_absolute_error, mean_squared_error, psnr, ssim


def pair(seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture and the same with noise, `[48, 40, 3]` float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((6, 5, 3))
    picture = np.kron(coarse, np.ones((8, 8, 1)))
    noisy = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 1)
    return picture.astype(np.float32), noisy.astype(np.float32)


def test_mae_and_mse_by_hand() -> None:
    first = np.zeros((2, 2, 3))
    second = first.copy()
    second[0, 0] = (0.6, 0.0, 0.0)
    assert mean_absolute_error(first, second) == pytest.approx(0.6 / 12)
    assert mean_squared_error(first, second) == pytest.approx(0.36 / 12)


def test_psnr_by_hand() -> None:
    assert psnr(1.0) == 0
    assert psnr(0.01) == pytest.approx(20)
    assert psnr(0.0) == math.inf


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_psnr_is_that_of_scikit_image(noise) -> None:
    first, second = pair(noise=noise)
    reference = peak_signal_noise_ratio(
        first.astype(np.float64), second.astype(np.float64), data_range=1
    )
    assert psnr(mean_squared_error(first, second)) == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 0.5])
def test_gaussian_ssim_is_that_of_scikit_image_and_torchmetrics(noise) -> None:
    first, second = pair(noise=noise)
    ours = ssim(first, second)
    reference = structural_similarity(
        first.astype(np.float64),
        second.astype(np.float64),
        data_range=1,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ours == pytest.approx(reference, abs=1e-9)
    batches = [torch.from_numpy(i).double().permute(2, 0, 1)[None] for i in (first, second)]
    _, full = structural_similarity_index_measure(
        *batches, data_range=1.0, return_full_image=True
    )  # torchmetrics 1.9 also averages over the border, on mirrored pixels
    assert ours == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), abs=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_uniform_ssim_is_scikit_images_default(noise) -> None:
    first, second = (image.astype(np.float64) for image in pair(noise=noise))
    reference = structural_similarity(first, second, data_range=1, channel_axis=2)
    assert ssim(first, second, "uniform") == pytest.approx(reference, abs=1e-9)


def test_ssim_needs_room_for_its_window() -> None:
    small = np.zeros((10, 40, 3))
    with pytest.raises(ValueError, match="smaller than the window"):
        ssim(small, small)
    assert ssim(small, small, "uniform") == 1
