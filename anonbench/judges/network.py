"""A judge's network with the weights that were imported for it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from anonbench import weights
from anonbench.nets.folding import fold_norms
from anonbench.nets.state import load_state

N = TypeVar("N", bound=nn.Module)


def imported(build: Callable[[], N], artefact: str, device: str, unused: Sequence[str] = ()) -> N:
    """The network with an artefact's weights, for inference, on a device.

    Its batch normalisations are folded into the layers before them.

    Args:
        build: Makes the network, whose keys the artefact has.
        artefact: Name in the catalogue of a safetensors file.
        device: Where PyTorch runs it.
        unused: Glob patterns of keys that the artefact has and the network has no use for.

    Raises:
        MissingArtefact: It is not in the cache; the message says how to bring it.
        BadData: Its keys or shapes are not the network's.
    """
    file = weights.path(artefact)
    # Weights created in inference mode could never take part in a gradient.
    with torch.inference_mode(False):
        net = build().eval()
        load_state(net, load_file(file), source=str(file), unused=unused)
        fold_norms(net)
        return net.to(device).to(memory_format=torch.channels_last)


def with_mirrored(embed: Callable[[Tensor], Tensor], crops: Tensor, flip: bool) -> Tensor:
    """Embeddings of crops, plus those of the mirrored crops if asked for.

    Args:
        embed: Takes crops `[B, 3, S, S]`, gives embeddings `[B, D]`.
        crops: `[B, 3, S, S]`.
        flip: Whether to add the mirrored crops' embeddings, which evens out left and right.
    """
    return embed(crops) + embed(crops.flip(3)) if flip else embed(crops)
