"""A judge's network with the weights that were imported for it."""

from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import nn

from anonbench import weights
from anonbench.nets.state import load_state

N = TypeVar("N", bound=nn.Module)


def imported(net: N, artefact: str, device: str) -> N:
    """The network with an artefact's weights, for inference, on a device.

    Args:
        net: The network, whose keys the artefact has.
        artefact: Name in the catalogue of a safetensors file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: It is not in the cache; the message says how to bring it.
        BadData: Its keys or shapes are not the network's.
    """
    file = weights.path(artefact)
    load_state(net, load_file(file), source=str(file))
    return net.to(device).to(memory_format=torch.channels_last).eval()
