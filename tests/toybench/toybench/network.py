"""A method with networks whose sizes anybody can work out."""

import torch
from torch import nn

from anonbench.values import Part

SCRATCH_MIB = 256


class Blender(nn.Module):
    """A 3x3 convolution of 8 channels, and for a moment a lot of memory."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, faces):
        torch.ones(SCRATCH_MIB << 18)
        return self.conv(faces)


class Net:
    """Its core blends; a linear layer that it takes from others runs beside it."""

    @classmethod
    def parts(cls, card):
        linear = nn.Linear(10, 4).requires_grad_(False)
        return [
            Part("blender", Blender(), (torch.rand(1, 3, 16, 16),), core=True),
            Part("others' layer", linear, (torch.rand(1, 10),)),
        ]

    def __init__(self, card, device):
        raise AssertionError("its weights are nowhere")
