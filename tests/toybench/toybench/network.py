"""A method with networks whose sizes anybody can work out."""

import time

import torch
from torch import nn

from anonbench.values import Part

SCRATCH_MIB = 256
STEPS = 30
STEP_SECONDS = 0.02


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


class Step(nn.Module):
    """One look at an image and at how to make it darker, taking its time."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, image):
        time.sleep(STEP_SECONDS)
        with torch.enable_grad():
            image = image.detach().requires_grad_()
            return torch.autograd.grad(self.conv(image).sum(), image)


class Loop(Net):
    """Runs its network once, and then again and again with gradients."""

    @classmethod
    def parts(cls, card):
        conv = nn.Conv2d(3, 8, 3, padding=1).requires_grad_(False)
        image = torch.rand(1, 3, 16, 16)
        return [
            Part("convolution", conv, (image,), core=True),
            Part("step", Step(conv), (image,), passes=STEPS),
        ]
