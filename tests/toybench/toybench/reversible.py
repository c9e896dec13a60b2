"""Toy methods that can be undone, and a toy judge of how well."""

import numpy as np
import torch

from anonbench.nets.float_bits import floats_to_bits
from toybench import _count


class Negative:
    """The negative of a picture; undone by doing it again, also after a picture was resampled."""

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        _count("anonymized", len(faces))
        return 1 - faces

    def recover(self, published, keys):
        _count("recovered", len(published))
        return 1 - published


class Vault:
    """Adds noise from the key to 8-bit pixels, modulo 256, and hides two floats in lowest bits.

    The floats are the mean red and the mean green; their 64 bits stand in the first row of red.
    The setting `flip` is a bit that is embedded wrong, -1 for none.
    """

    def __init__(self, card, device):
        self.card = card

    def hidden_bits(self, faces):
        _count("hidden", len(faces))
        return floats_to_bits(faces.mean((2, 3))[:, :2].contiguous()).flatten(1)

    def anonymize(self, faces, keys):
        _count("anonymized", len(faces))
        pixels = ((faces * 255).round().long() + self._noise(faces, keys)) % 256
        bits = floats_to_bits(faces.mean((2, 3))[:, :2].contiguous()).flatten(1).long()
        if self.card.config["flip"] >= 0:
            bits[:, self.card.config["flip"]] ^= 1
        pixels[:, 0, 0, :64] = pixels[:, 0, 0, :64] // 2 * 2 + bits
        return pixels / 255

    def recover(self, published, keys):
        _count("recovered", len(published))
        pixels = (published * 255).round().long() - self._noise(published, keys)
        return pixels % 256 / 255

    def extract_bits(self, published):
        _count("read", len(published))
        return (published * 255).round()[:, 0, 0, :64] % 2 - 0.5

    def _noise(self, faces, keys):
        rows = [
            np.random.default_rng(list(key)).integers(0, 256, tuple(faces.shape[1:]))
            for key in keys
        ]
        return torch.from_numpy(np.stack(rows))


class Boaster:
    """Promises in its card what its class does not have."""

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        return faces


class MeanDifference:
    """A perceptual judge that sees only the mean of each image."""

    def __init__(self, card, device):
        self.card = card

    def distance(self, first, second):
        _count("compared", len(first))
        return (first.mean((1, 2, 3)) - second.mean((1, 2, 3))).abs()
