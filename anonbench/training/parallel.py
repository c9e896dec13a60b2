"""Several processes with the same weights, however a method calls its networks.

`DistributedDataParallel` averages gradients only of what is called through its wrapper. Methods
that recover what they anonymized use their networks twice in a step and parts of them by
themselves, so here the gradients are averaged where an optimizer takes them.
"""

from collections.abc import Iterable
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import nn
from torch.optim import Optimizer


@torch.no_grad()
def align(modules: Iterable[nn.Module], accelerator: Accelerator) -> None:
    """Give the modules of all processes the parameters and buffers of the first one."""
    if accelerator.num_processes > 1:
        for module in modules:
            for tensor in module.state_dict().values():
                tensor.copy_(broadcast(tensor.contiguous()))


def average_gradients(optimizer: Optimizer, accelerator: Accelerator) -> None:
    """Let an optimizer take the mean of all processes' gradients in each of its steps.

    Gradients that a method clips are clipped before they are averaged.
    """

    def average(taking: Optimizer, args: Any, kwargs: Any) -> None:
        parameters = (p for group in taking.param_groups for p in group["params"])
        gradients = [p.grad for p in parameters if p.grad is not None]
        own = torch.cat([gradient.flatten() for gradient in gradients])
        means = accelerator.reduce(own, "mean").split([g.numel() for g in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    if accelerator.num_processes > 1:
        optimizer.register_step_pre_hook(average)
