"""SphereFace-20a, the recogniser of FIT, under the keys of `sphere20a_20171020.pth`.

"SphereFace: Deep Hypersphere Embedding for Face Recognition" (Liu et al., 2017): the network of 20
convolutions of its table 2 and the angular margin of its section 3.3. Layout: the checkpoint of
clcarwin/sphereface_pytorch, and what the parity fixtures say of it.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

HEIGHT, WIDTH = 112, 96
DIM = 512
CLASSES = 10_574
"""People of CASIA-WebFace that the published weights tell apart."""
MARGIN = 4
"""By how much the angle to the right person is multiplied."""
# Channels and residual units of the four levels.
LEVELS = ((64, 1), (128, 2), (256, 4), (512, 1))


class AngularLogits(NamedTuple):
    """How near features are to people.

    Attributes:
        cosine: `[B, classes]`, |x| cos θ, where θ is the angle between features and person.
        margin: `[B, classes]`, |x| ψ(θ), where ψ falls from 1 to 1 - 2 * MARGIN as cos(MARGIN θ)
            would, were it monotonic. In training it stands for the right person's cosine.
    """

    cosine: Tensor
    margin: Tensor


class SphereFace20a(nn.Module):
    """Embeds aligned face crops, and compares them to people.

    Args:
        classes: Number of people in the training set.
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        width = 3
        for level, (channels, units) in enumerate(LEVELS, start=1):
            for layer in range(1, 2 * units + 2):
                stride = 2 if layer == 1 else 1
                conv = nn.Conv2d(width, channels, 3, stride, padding=1)
                self.add_module(f"conv{level}_{layer}", conv)
                self.add_module(f"relu{level}_{layer}", nn.PReLU(channels))
                width = channels
        self.fc5 = nn.Linear(width * (HEIGHT // 16) * (WIDTH // 16), DIM)
        self.fc6 = AngularLinear(DIM, classes)

    def forward(self, crops: Tensor) -> Tensor:
        """Features `[B, 512]`, not normalised, of RGB crops `[B, 3, 112, 96]` in `[0, 1]`."""
        x = (crops.flip(1) - 0.5) / 0.5  # the network sees BGR
        for level, (_, units) in enumerate(LEVELS, start=1):  # to [B, 512, 7, 6]
            x = self._layer(level, 1, x)
            for layer in range(2, 2 * units + 1, 2):
                x = x + self._layer(level, layer + 1, self._layer(level, layer, x))
        features: Tensor = self.fc5(x.flatten(1))
        return features

    def classify(self, features: Tensor) -> AngularLogits:
        """Logits of features `[B, 512]`."""
        logits: AngularLogits = self.fc6(features)
        return logits

    def _layer(self, level: int, layer: int, x: Tensor) -> Tensor:
        convolved = self.get_submodule(f"conv{level}_{layer}")(x)
        activated: Tensor = self.get_submodule(f"relu{level}_{layer}")(convolved)
        return activated


class AngularLinear(nn.Module):
    """Angles between features and one direction per person.

    Args:
        inputs: Length of the features.
        classes: Number of people.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(functional.normalize(torch.randn(inputs, classes), dim=0))

    def forward(self, features: Tensor) -> AngularLogits:
        """Logits of features `[B, inputs]`."""
        length = features.norm(dim=1, keepdim=True)
        directions = functional.normalize(self.weight, dim=0)
        cosine = (features @ directions / length).clamp(-1, 1)
        # ψ(θ) = (-1)^k cos(MARGIN θ) - 2k on the k-th of MARGIN equal parts of [0, π].
        angle = MARGIN * cosine.detach().acos()
        part = (angle / math.pi).floor()
        multiple = 8 * cosine**4 - 8 * cosine**2 + 1  # cos 4θ without the acos, of endless slope
        margin = (1 - 2 * (part % 2)) * multiple - 2 * part
        return AngularLogits(cosine * length, margin * length)
