"""IResNet: the fixtures of the original code, its keys and its sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anonbench.errors import BadConfig
from anonbench.nets.iresnet import IResNet, nearest_input
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import check_parity


def test_computes_what_insightface_computes(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "arcface_r50")
    assert outcome.verdict == "passed", outcome


def on_meta(depth) -> IResNet:
    with torch.device("meta"):
        return IResNet(depth)


def test_has_the_keys_of_the_checkpoint_in_their_order(shared: Path) -> None:
    expected = read_layout(shared / "parity", "arcface_r50").networks["backbone"].state
    found = on_meta(50).state_dict()
    assert list(found) == [key for key, _, _ in expected]
    assert [tuple(tensor.shape) for tensor in found.values()] == [s for _, s, _ in expected]


@pytest.mark.parametrize(("depth", "units"), [(18, 8), (34, 16), (50, 24), (100, 49)])
def test_depth_counts_the_layers(depth, units: int) -> None:
    keys = on_meta(depth).state_dict()
    assert sum(key.endswith("conv2.weight") for key in keys) == units
    # Two convolutions a unit, the first one, and the linear layer at the end.
    assert sum(key.endswith(("conv1.weight", "conv2.weight", "fc.weight")) for key in keys) == (
        2 * units + 2
    )


def test_refuses_a_depth_that_does_not_exist() -> None:
    with pytest.raises(BadConfig, match="IResNet-51"):
        IResNet(51)  # type: ignore[arg-type]


def test_r100_embeds_each_crop_for_itself() -> None:
    torch.manual_seed(0)
    net = IResNet(100).eval()
    crops = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        both, second = net(crops), net(crops[1:])
    assert both.shape == (2, 512)
    torch.testing.assert_close(both[1:], second, rtol=1e-4, atol=1e-5)


def test_the_gradient_reaches_the_pixels() -> None:
    crops = torch.rand(1, 3, 256, 256, requires_grad=True)
    IResNet(18).eval()(nearest_input(crops)).sum().backward()
    assert crops.grad is not None
    # Nearest neighbour takes 112 x 112 of the pixels; no other has any effect.
    assert crops.grad.abs().sum(dim=1).count_nonzero() == 112 * 112


def test_nearest_input_takes_the_pixel_at_the_floor() -> None:
    images = torch.arange(256.0).repeat(1, 1, 256, 1)
    expected = np.floor(np.arange(112) * 256 / 112)
    np.testing.assert_array_equal(nearest_input(images)[0, 0, 5], expected)
