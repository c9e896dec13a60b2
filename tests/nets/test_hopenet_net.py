"""Hopenet against the fixtures of the original code, its angles by hand."""

from pathlib import Path

import pytest
import torch
from torchvision.transforms.functional import normalize

from anonbench.nets.hopenet import BINS, Hopenet, degrees, standardised
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import check_parity


def test_computes_what_deep_head_pose_computes(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "hopenet")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_the_checkpoint_but_the_layer_that_is_never_used(shared: Path) -> None:
    with torch.device("meta"):
        found = Hopenet().state_dict()
    expected = read_layout(shared / "parity", "hopenet").networks["net"].state
    assert [(key, tuple(value.shape)) for key, value in found.items()] == [
        (key, shape) for key, shape, _ in expected if not key.startswith("fc_finetune")
    ]


def test_a_sure_bin_is_three_degrees_times_its_number_from_minus_99() -> None:
    logits = torch.full((1, 3, BINS), -1e4)
    for angle, place in enumerate((0, 33, 65)):
        logits[0, angle, place] = 0
    torch.testing.assert_close(degrees(logits), torch.tensor([[-99.0, 0.0, 96.0]]))


def test_an_unsure_angle_is_the_mean_of_its_bins() -> None:
    assert degrees(torch.zeros(1, 3, BINS))[0, 0].item() == pytest.approx(-1.5, abs=1e-4)
    two = torch.full((1, 1, BINS), -1e4)
    two[..., 40], two[..., 43] = 1.0, 1.0
    assert degrees(two).item() == pytest.approx((40 + 43) / 2 * 3 - 99, abs=1e-4)


def test_the_input_is_standardised_as_torchvision_does() -> None:
    images = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = normalize(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    torch.testing.assert_close(standardised(images), expected)
