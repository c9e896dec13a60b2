"""Batch normalisations folded into the layers before them: fewer layers, the same outputs."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from anonbench.nets.adaface import AdaFaceIR101, Unit
from anonbench.nets.deca import Deca
from anonbench.nets.folding import fold_norms
from anonbench.nets.inception_fid import InceptionFid
from anonbench.nets.inception_resnet_v1 import InceptionResnetV1
from anonbench.nets.iresnet import IResNet


def living(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A network whose normalisations all do something."""
    torch.manual_seed(seed)
    net = build().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)
    return net


def norms(net: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in net.modules())


# What stays is not behind a linear layer: IResNet's before each unit and before its last layer.
@pytest.mark.parametrize(
    ("build", "size", "stay"),
    [
        (lambda: IResNet(18), 112, 9),
        (InceptionResnetV1, 80, 0),
        (Deca, 224, 0),
        (InceptionFid, 96, 0),
    ],
    ids=["iresnet", "inception-resnet", "resnet50", "inception"],
)
@torch.no_grad()
def test_a_folded_network_gives_the_same_numbers(
    build: Callable[[], nn.Module], size: int, stay: int
) -> None:
    net = living(build)
    images = torch.rand(1, 3, size, size)
    before = net(images)
    count = norms(net)
    assert fold_norms(net) == count - stay
    assert norms(net) == stay
    scale = before.abs().max().item()
    torch.testing.assert_close(net(images), before, rtol=0, atol=1e-5 * scale)


@torch.no_grad()
def test_a_unit_of_adaface_keeps_the_norm_before_its_first_convolution() -> None:
    unit = living(lambda: Unit(8, 16, 2))
    maps = torch.randn(2, 8, 6, 6)
    before = unit(maps)
    assert (fold_norms(unit), norms(unit)) == (3, 1)
    torch.testing.assert_close(unit(maps), before)
    with torch.device("meta"):
        whole = AdaFaceIR101().eval()
    units = 49
    assert norms(whole) - fold_norms(whole) == units + 1  # and the one before the last layer


def test_gradients_pass_as_before() -> None:
    net = living(lambda: nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)))
    folded = deepcopy(net)
    fold_norms(folded)

    def gradient(of: nn.Module) -> Tensor:
        images = torch.linspace(-1, 1, 75).view(1, 3, 5, 5).requires_grad_()
        of(images).square().sum().backward()
        assert images.grad is not None
        return images.grad

    torch.testing.assert_close(gradient(folded), gradient(net))


def test_a_network_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match="in training"):
        fold_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
