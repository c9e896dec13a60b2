"""Gradients of several processes, with the other one played by a fake accelerator."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.optim import SGD

from anonbench.training.parallel import average_gradients


def test_an_optimizer_takes_the_mean_gradient() -> None:
    net = nn.Conv2d(2, 3, 2).to(memory_format=torch.channels_last)
    net.unused = nn.Parameter(torch.ones(1))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    net(torch.rand(1, 2, 4, 4)).sum().backward()
    own = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    other = torch.linspace(-1, 1, sum(g.numel() for g in own.values()))
    pair = SimpleNamespace(num_processes=2, reduce=lambda values, how: (values + other) / 2)
    optimizer = SGD(net.parameters(), lr=1.0)
    average_gradients(optimizer, pair)
    optimizer.step()
    at = 0
    for name, gradient in own.items():
        theirs = other[at : at + gradient.numel()].view(gradient.shape)
        expected = before[name] - (gradient + theirs) / 2
        assert torch.allclose(net.get_parameter(name), expected), name
        at += gradient.numel()
    assert net.unused.item() == 1


def test_one_process_needs_no_mean() -> None:
    net = nn.Linear(2, 1)
    optimizer = SGD(net.parameters(), lr=1.0)
    average_gradients(optimizer, SimpleNamespace(num_processes=1))
    before = net.weight.detach().clone()
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert torch.allclose(net.weight, before - 1)
