"""Which crops a step sees: a function of seed and step alone, so that a resume needs no state."""

import hashlib
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray

from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch


class Stream(IntEnum):
    """What randomness is for; each use has a stream of its own."""

    INITIAL = 0
    STEP = 1
    ORDER = 2
    FLIP = 3
    PREVIEW = 4


def derived_seed(seed: int, stream: Stream, number: int = 0, process: int = 0) -> int:
    """A 32-bit seed for one use: the `number`-th of a stream, on a process."""
    state = np.random.SeedSequence((seed, stream, number, process)).generate_state(1)
    return int(state[0])


class Sampler:
    """Draws batches: every epoch a new order, half of the images flipped.

    Args:
        crops: What there is; a crop counts `repeat` times in an epoch.
        size: Images per batch, over all processes.
        seed: Of order and flips.
        process: Number of this process.
        processes: Each takes an equal part of each batch, so they must divide its size.
    """

    def __init__(
        self, crops: Crops, size: int, seed: int, process: int = 0, processes: int = 1
    ) -> None:
        self._crops, self._size, self._seed = crops, size, seed
        self._process, self._processes = process, processes
        self._pool = np.repeat(np.arange(len(crops.ids)), crops.repeat)

    def indices(self, step: int) -> NDArray[np.int64]:
        """The crops `[size]` of a step. Epochs follow each other without a gap."""
        epochs, offsets = np.divmod(
            np.arange(step * self._size, (step + 1) * self._size), len(self._pool)
        )
        orders = {epoch: self._order(epoch) for epoch in np.unique(epochs)}
        return np.array([orders[e][o] for e, o in zip(epochs, offsets, strict=True)], np.int64)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, Stream.ORDER, epoch)).permutation(self._pool)

    def batch(self, step: int, device: torch.device) -> Batch:
        """This process's part of a step's batch."""
        indices = self.indices(step)
        flips = np.random.default_rng((self._seed, Stream.FLIP, step)).random(self._size) < 0.5
        mine = slice(self._process, None, self._processes)
        return _batch(self._crops, indices[mine], flips[mine], device)

    def fixed(self, count: int, device: torch.device) -> Batch:
        """The same few crops in every call and on every process, as they are."""
        order = np.random.default_rng((self._seed, Stream.PREVIEW)).permutation(
            len(self._crops.ids)
        )[:count]
        return _batch(self._crops, order, np.zeros(len(order), bool), device)


def fingerprint(crops: Crops) -> str:
    """sha256 of which crops there are and how often each counts."""
    lines = (f"{name} {times}\n" for name, times in zip(crops.ids, crops.repeat, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _batch(
    crops: Crops, indices: NDArray[np.int64], flips: NDArray[np.bool_], device: torch.device
) -> Batch:
    images, points = crops.images[indices], crops.points[indices]
    images[flips] = images[flips][:, :, ::-1]
    points[flips] = mirrored(points[flips], images.shape[2])
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
    places = torch.from_numpy(indices).to(device)
    return Batch(pixels.float() / 255, torch.from_numpy(points).to(device), places)


def mirrored(points: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The landmarks `[..., 68, 2]` of a mirrored image: moved, and renamed left for right.

    Args:
        points: In pixels, with pixel centres at whole numbers.
        width: Of the image, in pixels.
    """
    swapped = points[..., MIRROR, :].copy()
    swapped[..., 0] = width - 1 - swapped[..., 0]
    return swapped


def _mirror() -> NDArray[np.int64]:
    """Which of the 68 iBUG landmarks each becomes in a mirrored face (numbered from 0).

    Jaw, nostrils and lips are numbered from the image's left to its right, so they reverse; brows
    swap and reverse; the bridge stays; an eye's upper lid reverses and so does its lower one.
    """
    reversed_runs = [(0, 16), (17, 26), (31, 35), (48, 54), (55, 59), (60, 64), (65, 67)]
    order = np.arange(68)
    for first, last in reversed_runs:
        order[first : last + 1] = np.arange(last, first - 1, -1)
    for (left, right), last in {(36, 42): 3, (40, 46): 1}.items():
        run = np.arange(last + 1)
        order[left + run], order[right + run] = right + last - run, left + last - run
    return order


MIRROR = _mirror()
"""`[68]`: where each landmark of a mirrored face was in the face."""
