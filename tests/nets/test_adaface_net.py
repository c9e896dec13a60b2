"""AdaFace's IR-101: the fixtures of the original code, its keys, its direction and norm."""

from pathlib import Path

import pytest
import torch

from anonbench.nets.adaface import AdaFaceIR101
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import check_parity


@pytest.fixture(scope="module")
def net() -> AdaFaceIR101:
    torch.manual_seed(0)
    return AdaFaceIR101().eval()


def test_computes_what_adaface_computes(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "adaface_ir101")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_the_checkpoint_in_their_order(shared: Path) -> None:
    expected = read_layout(shared / "parity", "adaface_ir101").networks["model"].state
    with torch.device("meta"):
        found = AdaFaceIR101().state_dict()
    assert list(found) == [key for key, _, _ in expected]
    assert [tuple(tensor.shape) for tensor in found.values()] == [s for _, s, _ in expected]


@torch.no_grad()
def test_says_the_direction_and_the_length_of_an_embedding(net: AdaFaceIR101) -> None:
    direction, norm = net(torch.rand(2, 3, 112, 112))
    assert direction.shape == (2, 512)
    assert norm.shape == (2, 1)
    torch.testing.assert_close(direction.norm(dim=1), torch.ones(2))
    assert (norm > 0).all()


@torch.no_grad()
def test_its_first_layer_sees_blue_first(net: AdaFaceIR101) -> None:
    """With a first layer that sees only its first channel, only the blue of a crop counts."""
    kept = net.input_layer[0].weight.clone()
    try:
        net.input_layer[0].weight[:, 1:] = 0
        crops = torch.rand(1, 3, 112, 112)
        other = torch.rand(1, 3, 112, 112)
        other[:, 2] = crops[:, 2]
        torch.testing.assert_close(net(crops).direction, net(other).direction)
        assert not torch.allclose(net(crops).direction, net(crops.flip(1)).direction, atol=1e-3)
    finally:
        net.input_layer[0].weight[:] = kept


def test_the_gradient_reaches_the_pixels(net: AdaFaceIR101) -> None:
    crops = torch.rand(1, 3, 112, 112, requires_grad=True)
    net(crops).direction[0, 0].backward()
    assert crops.grad is not None
    assert crops.grad.abs().sum() > 0
