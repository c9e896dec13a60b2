"""Averages of weights, against a calculation by hand."""

import pytest
import torch
from torch import nn

from anonbench.training.ema import Ema


class Scalar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.again = self.weight
        self.register_buffer("count", torch.tensor(0))

    def set(self, value: float) -> None:
        self.weight.data.fill_(value)
        self.count.fill_(int(value))


def test_averages_by_hand() -> None:
    module = Scalar()
    ema = Ema({"net": module}, 0.75, 2)
    for step, (value, average) in enumerate(
        [(9.0, None), (4.0, 4.0), (8.0, 5.0), (13.0, 7.0)], start=1
    ):
        module.set(value)
        ema.update(step)
        if average is None:
            assert ema.states is None
        else:
            state = ema.states["net"]
            assert state["weight"].item() == pytest.approx(average)
            assert state["again"].item() == pytest.approx(average), "a shared parameter"
            assert state["count"].item() == value, "buffers are as they last were"


def test_no_decay_no_average() -> None:
    ema = Ema({"net": Scalar()}, 0.0, 0)
    ema.update(1)
    assert ema.states is None


def test_modules_carry_averages_within_the_block_only() -> None:
    module = Scalar()
    ema = Ema({"net": module}, 0.5, 0)
    with ema.applied():
        assert module.weight.item() == 0
    for step, value in enumerate((2.0, 4.0), start=1):
        module.set(value)
        ema.update(step)
    with pytest.raises(ZeroDivisionError), ema.applied():
        assert module.weight.item() == 3
        raise ZeroDivisionError
    assert module.weight.item() == 4


def test_averages_go_on_from_a_checkpoint() -> None:
    module, again = Scalar(), Scalar()
    ema, restored = Ema({"net": module}, 0.5, 0), Ema({"net": again}, 0.5, 0)
    module.set(2.0)
    ema.update(1)
    restored.load(ema.states)
    again.set(6.0)
    restored.update(2)
    assert restored.states["net"]["weight"].item() == 4
    assert ema.states["net"]["weight"].item() == 2, "the checkpoint is not written to"
    restored.load(None)
    assert restored.states is None
