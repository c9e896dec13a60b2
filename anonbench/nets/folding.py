"""Batch normalisations of a trained network taken into the layers before them."""

from itertools import pairwise

import torch
from torch import nn

_Linear = (nn.Conv2d, nn.Linear)
_Norm = (nn.BatchNorm1d, nn.BatchNorm2d)


@torch.no_grad()
def fold_norms(net: nn.Module) -> int:
    """Fold batch normalisations into convolutions and linear layers, in place, for inference.

    With its statistics fixed, a normalisation behind a linear map is part of that map: one pass
    over the maps less, and a rounding less. It is folded where it is registered directly behind
    the layer in the same module and is as wide; this is for networks whose modules register
    layers in the order in which they apply them. A folded network has other keys: load first.

    Args:
        net: In evaluation mode; its outputs stay the same but for rounding.

    Returns:
        How many were folded.

    Raises:
        ValueError: The network is in training mode.
    """
    if net.training:
        raise ValueError("a network in training still needs its batch normalisations")
    folded = 0
    for parent in list(net.modules()):
        for (_, layer), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(layer, _Linear) and isinstance(norm, _Norm) and _fits(layer, norm):
                _fold(layer, norm)
                setattr(parent, name, nn.Identity())
                folded += 1
    return folded


def _fits(layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> bool:
    return len(layer.weight) == norm.num_features and norm.running_mean is not None


def _fold(layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """`(W x + b - mean) scale + shift` as one weight and one bias, computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var.double() + norm.eps)
    if norm.affine:
        scale = scale * norm.weight.double()
    bias = -norm.running_mean.double() * scale
    if layer.bias is not None:
        bias = bias + layer.bias.double() * scale
    if norm.affine:
        bias = bias + norm.bias.double()
    weight = layer.weight.double() * scale.view(-1, *[1] * (layer.weight.ndim - 1))
    gradient = layer.weight.requires_grad
    layer.weight = nn.Parameter(weight.to(layer.weight.dtype), requires_grad=gradient)
    layer.bias = nn.Parameter(bias.to(layer.weight.dtype), requires_grad=gradient)
