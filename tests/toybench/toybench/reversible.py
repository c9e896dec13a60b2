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
        return self._bits(faces)

    def anonymize(self, faces, keys):
        _count("anonymized", len(faces))
        pixels = ((faces * 255).round().long() + self._noise(faces, keys)) % 256
        bits = self._bits(faces).long()
        if self.card.config["flip"] >= 0:
            bits[:, self.card.config["flip"]] ^= 1
        place = self._place(pixels)
        place[:] = place // 2 * 2 + bits
        return pixels / 255

    def recover(self, published, keys):
        _count("recovered", len(published))
        pixels = (published * 255).round().long() - self._noise(published, keys)
        return pixels % 256 / 255

    def extract_bits(self, published):
        _count("read", len(published))
        return self._place((published * 255).round()) % 2 - 0.5

    def _bits(self, faces):
        return floats_to_bits(faces.mean((2, 3))[:, :2].contiguous()).flatten(1)

    def _place(self, pixels):
        return pixels[:, 0, 0, : self.card.hidden_bits]

    def _noise(self, faces, keys):
        rows = [
            np.random.default_rng(list(key)).integers(0, 256, tuple(faces.shape[1:]))
            for key in keys
        ]
        return torch.from_numpy(np.stack(rows))


class Rounder(Vault):
    """A vault that hides the same two numbers in 4 bits each, and says how bright a face is.

    The numbers, from 0 to 1, are rounded down to sixteenths, and decoded to the middle of these.
    The setting `remarks` says how they are made: `right`, or wrong in one way.
    """

    def hidden_numbers(self, faces):
        return faces.mean((2, 3))[:, :2]

    def decode_bits(self, bits):
        _count("decoded", len(bits))
        digits = bits.unflatten(1, (2, 4)).float()
        return (digits @ digits.new_tensor([8, 4, 2, 1]) + 0.5) / 16

    def anonymize_with_remarks(self, faces, keys):
        brightness = faces.mean((1, 2, 3))
        said = {"brightness": brightness, "bright": brightness > 0.5}
        wrong = {
            "right": {},
            "unlisted": {"colour": brightness},
            "one for all": {"brightness": brightness.mean()},
            "not finite": {"brightness": brightness / 0},
        }
        return self.anonymize(faces, keys), said | wrong[self.card.config["remarks"]]

    def _bits(self, faces):
        sixteenths = (self.hidden_numbers(faces) * 16).long().clamp(max=15)
        return (sixteenths[..., None] >> torch.arange(3, -1, -1) & 1).flatten(1).bool()


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
