"""State dicts go into a network whole, or not at all."""

import pytest
import torch
from torch import nn

from anonbench.errors import BadData
from anonbench.nets.state import load_state


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def test_loads_every_tensor() -> None:
    original, net = network(), network()
    load_state(net, original.state_dict())
    for key, tensor in original.state_dict().items():
        assert torch.equal(net.state_dict()[key], tensor)


def test_lists_what_does_not_fit_and_loads_nothing() -> None:
    net = network()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    state = network().state_dict()
    state["1.weight"] = torch.zeros(4)
    state["head.bias"] = state.pop("0.bias")
    with pytest.raises(BadData) as refusal:
        load_state(net, state, source="backbone.pth")
    for part in (
        "backbone.pth does not fit Sequential.",
        "1 missing: 0.bias.",
        "1 unexpected: head.bias.",
        "1 of another shape: 1.weight [4] instead of [3].",
    ):
        assert part in str(refusal.value)
    assert all(torch.equal(net.state_dict()[key], tensor) for key, tensor in before.items())


def test_a_long_list_is_cut() -> None:
    net = nn.ParameterList(torch.zeros(1) for _ in range(108))
    with pytest.raises(BadData, match=r"108 missing: 0, 1, 2, 3, 4, 5, 6, 7, and 100 more\."):
        load_state(net, {})


def test_keys_without_use_are_passed_over() -> None:
    state = {**network().state_dict(), "noises.3": torch.zeros(1)}
    load_state(network(), state, unused=["noises.*"])
    with pytest.raises(BadData, match=r"noises\.3"):
        load_state(network(), state)


def test_step_counters_may_be_missing_but_statistics_may_not() -> None:
    state = network().state_dict()
    del state["1.num_batches_tracked"]
    load_state(network(), state)
    del state["1.running_mean"]
    with pytest.raises(BadData, match=r"1 missing: 1\.running_mean"):
        load_state(network(), state)
