"""The Deep3DFaceRecon regressor: the fixtures of the original code, and torchvision's ResNet."""

from pathlib import Path

import torch
import torchvision

from anonbench.nets.d3dfr import D3dfr, split
from anonbench.nets.resnet50 import ResNet50
from anonbench.nets.state import load_state
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import check_parity


def test_computes_what_deep3dfacerecon_computes(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "d3dfr")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_the_checkpoint_in_their_order(shared: Path) -> None:
    with torch.device("meta"):
        found = D3dfr().state_dict()
    expected = read_layout(shared / "parity", "d3dfr").networks["net_recon"].state
    assert list(found) == [key for key, _, _ in expected]
    assert [tuple(tensor.shape) for tensor in found.values()] == [s for _, s, _ in expected]


def test_the_trunk_is_torchvisions() -> None:
    torch.manual_seed(0)
    original = torchvision.models.resnet50().eval()
    net = ResNet50().eval()
    load_state(net, original.state_dict(), unused=["fc.*"])
    images = torch.rand(2, 3, 97, 64)
    with torch.inference_mode():
        torch.testing.assert_close(net(images).mean((2, 3)), features(original, images))


def features(net: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    net.fc = torch.nn.Identity()
    return net(images)


def test_split_names_the_257_numbers() -> None:
    face = split(torch.arange(257.0).repeat(2, 1))
    firsts = [int(part[0, 0]) for part in face]
    assert firsts == [0, 80, 144, 224, 227, 254]
    assert [part.shape for part in face] == [(2, n) for n in (80, 64, 80, 3, 27, 3)]


def test_the_gradient_reaches_the_pixels() -> None:
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    D3dfr().eval()(images).square().sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0
