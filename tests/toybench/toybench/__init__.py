"""Toy plug-ins for the engine's tests; registered by the dist-info beside this package."""

import hashlib
import os
from pathlib import Path

import numpy as np

from anonbench.values import Face

COUNTER = "TOYBENCH_COUNTER"
"""Environment variable: file to which every image that is detected or embedded adds a line."""


def _count(what: str, number: int) -> None:
    if path := os.environ.get(COUNTER):
        with Path(path).open("a") as file:
            file.write(f"{what}\n" * number)


class Same:
    """Changes nothing, and cannot say so of what it published."""

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        return faces.clone()


class Tint:
    """Mixes each crop with a colour drawn from its key."""

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        colours = [list(hashlib.sha256(key).digest()[:3]) for key in keys]
        strength = self.card.config["strength"]
        mix = faces.new_tensor(colours)[:, :, None, None] / 255
        _count("anonymized", len(faces))
        return faces * (1 - strength) + mix * strength


class Broken:
    """Returns crops of the wrong size."""

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        return faces[:, :, ::2]


class Detector:
    """Finds a face in the middle of every image that is not black."""

    def __init__(self, card, device):
        self.card = card

    def detect(self, image, upsample=1):
        _count("detected", 1)
        height, width = image.shape[:2]
        box = np.array([0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height])
        return [self.landmarks(image, box)] if image.mean() > 8 else []

    def landmarks(self, image, box):
        left, top, right, bottom = box
        unit = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
        points = unit * (right - left, bottom - top) + (left, top)
        return Face(box=np.asarray(box, float), score=1.0, points5=points)


class Recogniser:
    """The mean colours of a coarse grid."""

    def __init__(self, card, device):
        self.card = card

    def embed(self, crops):
        import torch

        _count("embedded", len(crops))
        return torch.nn.functional.adaptive_avg_pool2d(crops, 4).flatten(1) - 0.5
