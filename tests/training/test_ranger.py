"""Ranger: each of its three parts against what its article says."""

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer, RAdam

from anonbench.training.ranger import Ranger


def train(optimizer: Optimizer, parameter: nn.Parameter, gradients: Sequence[Tensor]) -> Tensor:
    """Weights after steps with given gradients."""
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach().clone()


def drawn(*shape: int, count: int = 12) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def test_between_two_looks_ahead_it_is_rectified_adam() -> None:
    ours, theirs = nn.Parameter(torch.ones(4).double()), nn.Parameter(torch.ones(4).double())
    gradients = drawn(4, count=5)
    after = train(Ranger([ours], 0.1), ours, gradients)
    reference = RAdam([theirs], lr=0.1, betas=(0.95, 0.999), eps=1e-5)
    torch.testing.assert_close(after, train(reference, theirs, gradients))


def test_the_sixth_step_goes_half_the_way_back() -> None:
    gradients = drawn(4)
    ours, theirs = nn.Parameter(torch.ones(4).double()), nn.Parameter(torch.ones(4).double())
    ranger = Ranger([ours], 0.1)
    reference = RAdam([theirs], lr=0.1, betas=(0.95, 0.999), eps=1e-5)
    slow = torch.ones(4).double()
    for part in (gradients[:6], gradients[6:]):
        slow = (slow + train(reference, theirs, part)) / 2
        theirs.data.copy_(slow)
        torch.testing.assert_close(train(ranger, ours, part), slow)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_gradients_of_more_than_one_dimension_are_centred(shape: tuple[int, ...]) -> None:
    parameter = nn.Parameter(torch.zeros(shape).double())
    (gradient,) = drawn(*shape, count=1)
    train(Ranger([parameter], 0.1), parameter, [gradient])
    # Its first step follows the gradient itself.
    means = torch.stack([row.mean().expand_as(row) for row in gradient])
    torch.testing.assert_close(parameter.detach(), -0.1 * (gradient - means))


def test_a_restored_state_goes_on_exactly() -> None:
    gradients = drawn(3, 4)
    whole = nn.Parameter(torch.ones(3, 4).double())
    expected = train(Ranger([whole], 0.1), whole, gradients)
    first = nn.Parameter(torch.ones(3, 4).double())
    ranger = Ranger([first], 0.1)
    train(ranger, first, gradients[:4])
    second = nn.Parameter(first.detach().clone())
    restored = Ranger([second], 0.1)
    restored.load_state_dict(copy.deepcopy(ranger.state_dict()))
    assert torch.equal(train(restored, second, gradients[4:]), expected)


def test_a_closure_is_computed_and_what_has_no_gradient_stays() -> None:
    moved, still = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    ranger = Ranger([moved, still], 0.1)

    def closure() -> float:
        loss = moved.square().mul(torch.arange(4.0).view(2, 2)).sum()
        loss.backward()
        return float(loss.detach())

    assert ranger.step(closure) == 6.0
    assert not torch.equal(moved, torch.ones(2, 2)) and torch.equal(still, torch.ones(2))
