"""Ranger: rectified Adam on centralised gradients, with a look-ahead.

Wright's Ranger of version 20.4.11, with which pSp, e4e, StyleCLIP and RiDDLE were trained. It joins

* "On the Variance of the Adaptive Learning Rate and Beyond" (RAdam; Liu et al., 2020), which is
  PyTorch's: where the variance cannot be told yet, steps follow the mean gradient alone;
* "Gradient Centralization" (Yong et al., 2020): `g - mean(g)`, the mean over all dimensions but the
  first, of every parameter with more than one;
* "Lookahead Optimizer" (Zhang et al., 2019): after every `k` steps the weights go back to
  `slow + alpha * (weights - slow)`, which becomes `slow`.
"""

from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import nn
from torch.optim import RAdam


class Ranger(RAdam):
    """The optimizer; the defaults are those of the trainings named above.

    The state of each parameter is RAdam's and `slow`.

    Args:
        parameters: To be trained.
        lr: Learning rate.
        betas: Decay of the means of gradients and of their squares.
        eps: Least divisor of a step.
        alpha: How far slow weights go towards the fast ones.
        k: Every how many steps they do.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5,
        alpha: float = 0.5,
        k: int = 6,
    ) -> None:
        super().__init__(parameters, lr=lr, betas=betas, eps=eps)
        self._alpha, self._k = alpha, k

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update all parameters that have gradients, which are centralised in place.

        Args:
            closure: Computes the gradients, and returns the loss; None where they are there.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        for parameter in moving:
            _centralise(parameter)
        starts = {p: p.clone() for p in moving if p not in self.state}
        super().step()
        for parameter in moving:
            state = self.state[parameter]
            slow = state.setdefault("slow", starts.get(parameter))
            if int(state["step"]) % self._k == 0:
                parameter.copy_(slow.lerp_(parameter, self._alpha))
        return loss


def _centralise(parameter: nn.Parameter) -> None:
    gradient = parameter.grad
    if gradient is not None and gradient.ndim > 1:
        others = tuple(range(1, gradient.ndim))
        gradient.sub_(gradient.mean(dim=others, keepdim=True))
