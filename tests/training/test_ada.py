"""Adaptive augmentation: when its probability moves, and what it does to images."""

import pytest
import torch

from anonbench.training.ada import AdaptiveAugmentation

IMAGES = torch.nn.functional.interpolate(
    torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0)), (32, 32), mode="bilinear"
)


def adapted(share_real: float, batches: int, target: float = 0.6) -> AdaptiveAugmentation:
    """After so many batches of 1000 images of which a share is called real."""
    ada = AdaptiveAugmentation(target)
    logits = torch.where(torch.arange(1000) < share_real * 1000, 3.0, -0.1)[:, None]
    for _ in range(batches):
        ada.adapt(logits)
    return ada


def test_the_probability_rises_while_the_discriminator_is_too_sure() -> None:
    assert float(adapted(1.0, 3).probability) == 0, "every fourth batch"
    assert float(adapted(1.0, 4).probability) == pytest.approx(4000 / 500_000)
    assert float(adapted(1.0, 20).probability) == pytest.approx(5 * 4000 / 500_000)
    assert float(adapted(1.0, 2000).probability) == pytest.approx(0.8)


def test_it_falls_again_but_not_below_zero() -> None:
    ada = adapted(1.0, 8)
    before = float(ada.probability)
    for _ in range(4):
        ada.adapt(torch.tensor([[1.0], [-1.0]]).repeat(500, 1))  # as many real as generated
    assert 0 <= float(ada.probability) < before
    assert float(adapted(0.75, 40).probability) == 0


def test_at_probability_zero_nothing_changes() -> None:
    assert torch.allclose(AdaptiveAugmentation(0.6)(IMAGES), IMAGES, atol=1e-5)


def test_each_image_has_augmentations_of_its_own() -> None:
    torch.manual_seed(0)
    ada = AdaptiveAugmentation(0.6)
    ada.probability.fill_(0.15)
    images = IMAGES.clone().requires_grad_()
    made = ada(images)
    moved = (made - IMAGES).detach().abs().flatten(1).amax(dim=1) > 1e-3
    # Seven independent transformations, mirroring effective half of the time.
    untouched = 0.85**7 * (1 - 0.15 / 2)
    assert float((~moved).float().mean()) == pytest.approx(untouched, abs=0.2)
    made.sum().backward()
    assert images.grad is not None and float(images.grad.abs().sum()) > 0


def test_its_state_is_all_that_it_remembers() -> None:
    one, other = adapted(1.0, 6), AdaptiveAugmentation(0.6)
    other.load_state_dict(one.state_dict())
    for ada in (one, other):
        for _ in range(2):
            ada.adapt(torch.ones(1000, 1))
    assert float(one.probability) == float(other.probability) > float(adapted(1.0, 6).probability)
