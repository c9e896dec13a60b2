"""The face parser: its trunk against torchvision, its file's layout, a case worked by hand."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from anonbench.errors import BadData
from anonbench.nets.bisenet import CLASSES, BiSeNet, ResNet18
from anonbench.weights import importers

Layout = dict[str, tuple[int, ...]]


def normalised(prefix: str, conv: str, norm: str, *shape: int) -> Layout:
    """A convolution without bias and its batch normalisation."""
    statistics = ("weight", "bias", "running_mean", "running_var")
    layout: Layout = {f"{prefix}{norm}.{name}": (shape[0],) for name in statistics}
    return {f"{prefix}{conv}.weight": shape, **layout, f"{prefix}{norm}.num_batches_tracked": ()}


def official_layout() -> Layout:
    """Keys and shapes of `79999_iter.pth`, written down from its repository's `model.py`."""
    trunk = torchvision.models.resnet18(weights=None).state_dict()
    layout: Layout = {
        f"cp.resnet.{key}": tuple(value.shape)
        for key, value in trunk.items()
        if not key.startswith("fc.")
    }
    for name, width in (("arm16", 256), ("arm32", 512)):
        layout |= normalised(f"cp.{name}.conv.", "conv", "bn", 128, width, 3, 3)
        layout |= normalised(f"cp.{name}.", "conv_atten", "bn_atten", 128, 128, 1, 1)
    for name in ("conv_head32", "conv_head16"):
        layout |= normalised(f"cp.{name}.", "conv", "bn", 128, 128, 3, 3)
    layout |= normalised("cp.conv_avg.", "conv", "bn", 128, 512, 1, 1)
    layout |= normalised("ffm.convblk.", "conv", "bn", 256, 256, 1, 1)
    layout |= {"ffm.conv1.weight": (64, 256, 1, 1), "ffm.conv2.weight": (256, 64, 1, 1)}
    heads = (("conv_out", 256, 256), ("conv_out16", 64, 128), ("conv_out32", 64, 128))
    for name, width, inputs in heads:
        layout |= normalised(f"{name}.conv.", "conv", "bn", width, inputs, 3, 3)
        layout[f"{name}.conv_out.weight"] = (19, width, 1, 1)
    return layout


def learned(layout: Layout) -> int:
    """How many parameters there are."""
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    return sum(
        torch.Size(shape).numel() for key, shape in layout.items() if not key.endswith(buffers)
    )


def test_has_the_keys_and_shapes_of_the_file() -> None:
    with torch.device("meta"):
        net = BiSeNet()
    official = official_layout()
    assert learned(official) == 13_300_416
    helpers = ("conv_out16.", "conv_out32.")
    expected = {key: shape for key, shape in official.items() if not key.startswith(helpers)}
    assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == expected
    assert len(CLASSES) == 19


def test_the_file_is_imported_and_another_one_refused(tmp_path: Path) -> None:
    state = {key: torch.zeros(shape) for key, shape in official_layout().items()}
    torch.save(state, tmp_path / "79999_iter.pth")
    importers.bisenet(tmp_path / "79999_iter.pth", tmp_path / "bisenet.safetensors")
    assert (tmp_path / "bisenet.safetensors").stat().st_size > 4 * 13_000_000
    del state["ffm.conv1.weight"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(BadData, match=r"1 missing: ffm\.conv1\.weight"):
        importers.bisenet(tmp_path / "other.pth", tmp_path / "never.safetensors")


@torch.no_grad()
def test_the_trunk_is_torchvisions() -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(weights=None).eval()
    for name, buffer in theirs.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    ours = ResNet18().eval()
    ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if "fc." not in k})
    x = torch.randn(1, 3, 64, 96)
    y = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x)))))
    for layer, maps in zip((theirs.layer2, theirs.layer3, theirs.layer4), ours(x), strict=True):
        y = layer(y)
        torch.testing.assert_close(maps, y)


@torch.no_grad()
def test_what_the_whole_picture_says_reaches_every_pixel() -> None:
    """With all other weights zero, a 2 from the coarsest maps becomes 3c in class c's logits.

    The fusion's attention, being the sigmoid of 0, adds half of it to it.
    """
    net = BiSeNet().eval()
    for parameter in net.parameters():
        parameter.zero_()
    net.cp.conv_avg.bn.bias.fill_(2)
    for block in (net.cp.conv_head32, net.cp.conv_head16, net.ffm.convblk, net.conv_out.conv):
        pass_on(block)
    net.conv_out.conv_out.weight[:, -1, 0, 0] = torch.arange(19.0)
    logits = net(torch.rand(2, 3, 64, 96))
    expected = (3 * torch.arange(19.0)).view(1, 19, 1, 1).expand(2, 19, 64, 96)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def pass_on(block: nn.Module) -> None:
    """Let a block of convolution, normalisation and ReLU give what it gets."""
    nn.init.dirac_(block.get_parameter("conv.weight"))
    block.get_parameter("bn.weight").fill_(1)


@torch.no_grad()
def test_images_are_standardised_as_imagenet_is() -> None:
    net, seen = BiSeNet().eval(), []
    net.cp.resnet.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    colour: Tensor = mean + 2 * std
    net(colour.view(1, 3, 1, 1).expand(1, 3, 32, 32))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 32, 32), 2.0))
