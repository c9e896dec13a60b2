"""IResNet: the fixtures of the original code, its keys and its sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from anonbench.errors import BadConfig
from anonbench.nets.iresnet import UNITS, IResNet, nearest_input
from anonbench.nets.state import load_state
from anonbench.testing.fixtures import read_fixture, read_layout
from anonbench.testing.parity import FilledStates, check_parity


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


@torch.inference_mode()
def test_r100_computes_adafaces_network_from_adafaces_weights(shared: Path) -> None:
    """AdaFace's IR-101 is this network but for one shortcut and the last layer's free scale."""
    fixture = read_fixture(shared / "parity", "adaface_ir101")
    net = IResNet(100).eval()
    load_state(net, renamed(FilledStates(fixture.layout)["model"], net))
    bgr = torch.from_numpy(fixture.inputs["images"]).flip(1)
    embedding = net(bgr.float() / 255)
    info = fixture.layout.fixtures["embedding"]
    error = normalize(embedding).numpy() - fixture.outputs["embedding"]
    assert isinstance(info.tolerance, float)
    assert abs(error).max() / info.scale < info.tolerance


def renamed(state: dict[str, torch.Tensor], net: IResNet) -> dict[str, torch.Tensor]:
    """AdaFace's state under this network's keys; what it lacks changes nothing."""
    ends = {"input_layer.0": "conv1", "input_layer.1": "bn1", "input_layer.2": "prelu"}
    ends |= {"output_layer.0": "bn2", "output_layer.3": "fc", "output_layer.4": "features"}
    inside = dict(enumerate(("bn1", "conv1", "bn2", "prelu", "conv2", "bn3")))
    names = {f"res_layer.{index}": name for index, name in inside.items()}
    names |= {f"shortcut_layer.{index}": f"downsample.{index}" for index in (0, 1)}
    units = [f"layer{level + 1}.{i}" for level, n in enumerate(UNITS[100]) for i in range(n)]
    ends |= {
        f"body.{i}.{a}": f"{unit}.{b}" for i, unit in enumerate(units) for a, b in names.items()
    }
    moved = {}
    for key, value in state.items():
        place, _, leaf = key.rpartition(".")
        moved[f"{ends[place]}.{leaf}"] = value
    own = {key: value.clone() for key, value in net.state_dict().items()}
    own["layer1.0.downsample.0.weight"] = torch.eye(64)[:, :, None, None]  # every other pixel
    return {**own, **moved}


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
