"""IR-SE50: its keys, its embedding, its attention. The fixtures: test_riddle_networks."""

from pathlib import Path

import pytest
import torch
from network_facts import assert_has_the_keys, on_meta
from torchvision.ops import SqueezeExcitation as Reference

from anonbench.nets.ir_se50 import IrSe50, SqueezeExcitation, face_region


@pytest.fixture(scope="module")
def net() -> IrSe50:
    torch.manual_seed(0)
    return IrSe50().eval()


def test_has_the_keys_of_the_checkpoint(shared: Path) -> None:
    assert_has_the_keys(on_meta(IrSe50), shared, "riddle", "ir_se50")


@torch.no_grad()
def test_embeds_each_crop_for_itself_at_length_1(net: IrSe50) -> None:
    crops = torch.rand(2, 3, 112, 112)
    both = net(crops)
    assert both.shape == (2, 512)
    torch.testing.assert_close(both.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(net(crops[1:]), both[1:], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(both[0], both[1], atol=1e-4)


def test_the_gradient_reaches_the_face_alone(net: IrSe50) -> None:
    images = torch.rand(1, 3, 256, 256, requires_grad=True)
    net(face_region(images))[0, 0].backward()
    assert images.grad is not None
    seen = images.grad[0].abs().sum(dim=0) > 0
    rows, columns = seen.any(dim=1).nonzero()[:, 0], seen.any(dim=0).nonzero()[:, 0]
    assert (rows.min(), rows.max() + 1) == (35, 223)
    assert (columns.min(), columns.max() + 1) == (32, 220)


def test_the_face_region_is_shrunk_by_means() -> None:
    ramp = torch.arange(256.0).expand(1, 3, 256, 256)
    row = face_region(ramp)[0, 0, 0]
    assert row.shape == (112,)
    # Area `i` covers the pixels from floor(188 i / 112) to ceil(188 (i + 1) / 112).
    areas = [range(188 * i // 112, -(-188 * (i + 1) // 112)) for i in range(112)]
    expected = [32 + sum(area) / len(area) for area in areas]
    assert row.tolist() == pytest.approx(expected)


@torch.no_grad()
def test_the_attention_is_torchvisions() -> None:
    torch.manual_seed(0)
    ours, theirs = SqueezeExcitation(32), Reference(32, 2)
    for name in ("fc1", "fc2"):
        theirs.get_submodule(name).weight.copy_(ours.get_submodule(name).weight)
        theirs.get_submodule(name).bias.zero_()
    x = torch.randn(2, 32, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))
