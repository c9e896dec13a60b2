"""A toy method for photos: it shows a mosaic and hides the face in its least significant bits."""

import numpy as np
import torch

from toybench import Detector

SMALL, BITS = 16, 16 * 16 * 3 * 8


class Drawer:
    """Hides the face, shrunk to 16 x 16 pixels, encrypted with a stream that the key seeds.

    It is all lost with the least significant bits, as the password of a real method would be.
    """

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        small = torch.nn.functional.adaptive_avg_pool2d(faces, SMALL)
        coarse = torch.nn.functional.adaptive_avg_pool2d(faces, 8)
        hidden = np.unpackbits((small * 255).round().byte().numpy().reshape(len(faces), -1), axis=1)
        pixels = self._grow(coarse, faces).numpy()
        flat = (pixels * 255).round().astype(np.int64).reshape(len(faces), -1)
        flat[:, :BITS] = flat[:, :BITS] // 2 * 2 + (hidden ^ stream(keys))
        return torch.from_numpy(flat.reshape(pixels.shape) / 255).float()

    def recover(self, published, keys):
        flat = (published.numpy() * 255).round().astype(np.int64).reshape(len(published), -1)
        packed = np.packbits((flat[:, :BITS] % 2).astype(np.uint8) ^ stream(keys), axis=1)
        small = torch.from_numpy(packed.reshape(-1, 3, SMALL, SMALL) / 255).float()
        return self._grow(small, published)

    def _grow(self, small, like):
        return torch.nn.functional.interpolate(small, like.shape[-2:], mode="nearest")


class Door(Drawer):
    """The same for everyone: its stream is that of a key of zeros."""

    def anonymize(self, faces, keys):
        return super().anonymize(faces, [bytes(32)] * len(keys))

    def recover(self, published, keys):
        return super().recover(published, [bytes(32)] * len(keys))


class Neighbours(Detector):
    """Finds two faces side by side, the crops of which overlap, in every image."""

    def detect(self, image, upsample=1):
        height, width = image.shape[:2]
        boxes = ([0.2, 0.35, 0.44, 0.65], [0.5, 0.35, 0.8, 0.7])
        size = np.array([width, height, width, height])
        return [self.landmarks(image, np.array(box) * size) for box in boxes]


def stream(keys):
    rows = [np.random.default_rng(list(key)).integers(0, 2, BITS) for key in keys]
    return np.stack(rows).astype(np.uint8)
