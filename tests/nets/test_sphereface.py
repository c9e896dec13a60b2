"""SphereFace-20a: its keys, its input, its angular margin. The fixtures: test_fit_networks."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from network_facts import assert_has_the_keys, on_meta

from anonbench.nets.sphereface import AngularLinear, SphereFace20a


@pytest.fixture(scope="module")
def net() -> SphereFace20a:
    torch.manual_seed(0)
    return SphereFace20a(classes=5).eval()


def test_has_the_keys_of_the_checkpoint(shared: Path) -> None:
    assert_has_the_keys(on_meta(SphereFace20a), shared, "fit", "sphere20a")


def test_has_20_convolutions() -> None:
    modules = on_meta(SphereFace20a).modules()
    assert sum(isinstance(module, torch.nn.Conv2d) for module in modules) == 20


@torch.no_grad()
def test_embeds_each_crop_for_itself(net: SphereFace20a) -> None:
    crops = torch.rand(2, 3, 112, 96)
    both = net(crops)
    assert both.shape == (2, 512)
    torch.testing.assert_close(net(crops[1:]), both[1:], rtol=1e-4, atol=1e-5)
    assert net.classify(both).cosine.shape == (2, 5)


@torch.no_grad()
def test_its_first_layer_sees_blue_first(net: SphereFace20a) -> None:
    seen = []
    hook = net.get_submodule("conv1_1").register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0])
    )
    crops = torch.zeros(1, 3, 112, 96)
    crops[:, 2] = 1
    net(crops)
    hook.remove()
    assert seen[0].mean(dim=(0, 2, 3)).tolist() == [1, -1, -1]


def at_angles(degrees: np.ndarray) -> torch.Tensor:
    """Features of length 3 at these angles to the one person of `one_person`."""
    radians = torch.from_numpy(np.radians(degrees))
    return 3 * torch.stack([radians.cos(), radians.sin()], dim=1)


def one_person() -> AngularLinear:
    linear = AngularLinear(2, 1).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.5], [0.0]]))  # its length has no effect
    return linear


def test_the_margin_is_the_articles() -> None:
    """Equation 7: (-1)^k cos 4θ - 2k for θ from kπ/4 to (k+1)π/4, times the features' length."""
    degrees = np.arange(0.5, 180, 1.0)
    with torch.no_grad():
        logits = one_person()(at_angles(degrees))
    k = degrees // 45
    expected = 3 * ((-1.0) ** k * np.cos(4 * np.radians(degrees)) - 2 * k)
    np.testing.assert_allclose(logits.margin[:, 0], expected, atol=1e-9)
    np.testing.assert_allclose(logits.cosine[:, 0], 3 * np.cos(np.radians(degrees)), atol=1e-9)
    assert (logits.margin.diff(dim=0) < 0).all()


def test_the_gradient_turns_features_towards_their_person() -> None:
    features = at_angles(np.array([30.0, 100.0, 170.0])).requires_grad_()
    one_person()(features).margin.sum().backward()
    assert features.grad is not None
    x, y = features.detach().T
    tangent = torch.stack([y, -x], dim=1)  # of a turn towards angle 0
    turn = (features.grad * tangent).sum(dim=1)
    angle = torch.atan2(y, x)
    # dψ/dθ = -(-1)^k 4 sin 4θ; a turn by -1 of features of length 3.
    k = (angle / (math.pi / 4)).floor()
    torch.testing.assert_close(turn, 3 * (-1) ** k * 4 * (4 * angle).sin())
    assert (turn > 0).all()
