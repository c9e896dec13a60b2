"""Exponential moving averages of modules."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

States = dict[str, dict[str, Tensor]]
"""State dicts by name of the module."""


class Ema:
    """Averages the parameters of modules over steps; buffers are taken as they last were.

    Args:
        modules: What to average, without wrappers.
        decay: Weight of the average so far in each update; 0 keeps no average.
        start: Completed steps at which the average begins, as the weights of that moment.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float, start: int) -> None:
        self._modules, self._decay, self._start = modules, decay, start
        self.states: States | None = None

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after so many completed steps into the average."""
        if not self._decay or step < self._start:
            return
        if self.states is None:
            self.states = _copies(self._modules)
            return
        for name, module in self._modules.items():
            own = module.state_dict()
            parameters = {key for key, _ in module.named_parameters(remove_duplicate=False)}
            for key, average in self.states[name].items():
                if key in parameters:
                    average.lerp_(own[key], 1 - self._decay)
                else:
                    average.copy_(own[key])

    def load(self, states: States | None) -> None:
        """Go on from the averages of a checkpoint."""
        if states is None:
            self.states = None
            return
        self.states = _copies(self._modules)
        for name, own in self.states.items():
            for key, average in own.items():
                average.copy_(states[name][key])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the modules carry their averages, if there are any."""
        if self.states is None:
            yield
            return
        own = _copies(self._modules)
        try:
            _load(self._modules, self.states)
            yield
        finally:
            _load(self._modules, own)


def _copies(modules: Mapping[str, nn.Module]) -> States:
    return {
        name: {key: tensor.clone() for key, tensor in module.state_dict().items()}
        for name, module in modules.items()
    }


def _load(modules: Mapping[str, nn.Module], states: States) -> None:
    for name, module in modules.items():
        module.load_state_dict(states[name])
