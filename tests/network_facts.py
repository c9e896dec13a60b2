"""What can be said of a network without weights: its keys, its size, its operations."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from anonbench.testing.fixtures import read_layout


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose tensors have no values and take no memory."""
    with torch.device("meta"):
        return build().eval()


def assert_has_the_keys(net: nn.Module, shared: Path, model: str, network: str) -> None:
    """The keys and shapes of the official checkpoint, in its order."""
    expected = read_layout(shared / "parity", model).networks[network].state
    found = net.state_dict()
    assert list(found) == [key for key, _, _ in expected]
    assert [tuple(tensor.shape) for tensor in found.values()] == [s for _, s, _ in expected]


def millions(net: nn.Module) -> float:
    """Parameters."""
    return sum(parameter.numel() for parameter in net.parameters()) / 1e6


@torch.no_grad()
def gigamacs(net: nn.Module, *shapes: tuple[int, ...] | None) -> float:
    """Multiplications with additions of one pass over inputs of these shapes; None stays None."""
    inputs = [None if shape is None else torch.empty(shape, device="meta") for shape in shapes]
    with FlopCounterMode(display=False) as counter:
        net(*inputs)
    return counter.get_total_flops() / 2e9
