"""The pool of fakes: images that nobody was photographed for, and the most similar one to a face.

What a fake is follows from its number, the pool's seed, the truncation and the networks; a smaller
pool is the beginning of a larger one. Styles and features stand in the suite's store, in shards
that appear whole, so that a pool is drawn once, goes on after a kill, and grows on demand.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anonbench.engine.store import Artefact, Row, Store
from anonbench.generative.models import drawn_noise
from anonbench.nets.stylegan2 import truncate
from anonbench.values import sample_key
from anonbench_falco.optimise import Objective
from anonbench_falco.pace import Pace

_LOG = logging.getLogger(__name__)

SHARD = 100
"""Fakes that are kept at once: at most these are drawn again after a kill."""


class Fake(NamedTuple):
    """One image of the pool.

    Attributes:
        style: `[512]`, its truncated code, the same for all layers.
        features: `[512]`, FaRL's.
    """

    style: Tensor
    features: Tensor


@dataclass(frozen=True)
class Recipe:
    """All that decides a pool's content but the number of its fakes.

    Attributes:
        seed: Of the pool.
        truncation: Of styles.
        ranges: Of the pixels that features are taken of.
        weights: Digests of the networks' weights, by name.
    """

    seed: int
    truncation: float
    ranges: str
    weights: Mapping[str, str]

    def material(self) -> dict[str, Any]:
        """The key material of the store."""
        return {**vars(self), "weights": dict(self.weights), "version": 1}


class Neighbours(NamedTuple):
    """The most similar fakes to some faces.

    Attributes:
        styles: `[B, 512]`.
        cosines: Of the features, `[B]`.
    """

    styles: Tensor
    cosines: Tensor


class Pool:
    """Fakes to choose from.

    Args:
        styles: `[N, 512]`.
        features: `[N, 512]` of any length.
    """

    def __init__(self, styles: Tensor, features: Tensor) -> None:
        self.styles = styles
        self._directions = functional.normalize(features)

    def nearest(self, features: Tensor) -> Neighbours:
        """The fakes whose features `[B, 512]` have the largest cosine to the given ones.

        Of several, the one that was drawn first.
        """
        cosines = functional.normalize(features) @ self._directions.T
        best = cosines.argmax(dim=1, keepdim=True)
        return Neighbours(self.styles[best[:, 0]], cosines.gather(1, best)[:, 0])


def draw_fake(objective: Objective, mean: Tensor, recipe: Recipe, number: int) -> Fake:
    """The fake of a number; one at a time, so that it depends on no other.

    Args:
        objective: Has the networks.
        mean: The mean style, `[512]`.
        recipe: Of the pool.
        number: From 0 on.
    """
    key = sample_key(recipe.seed, f"fake {number}")
    z = drawn_noise([key], objective.generator.sizes.style).to(mean.device)
    style = truncate(objective.generator.map(z), mean, recipe.truncation)
    image = objective.draw(style)
    return Fake(style[0], objective.perception.features(image, "generated")[0])


@torch.no_grad()
def open_pool(
    recipe: Recipe,
    size: int,
    draw: Callable[[int], Fake],
    device: str,
    store: Store | None = None,
    shard: int = SHARD,
) -> Pool:
    """A pool of a size; what the store lacks of it is drawn and kept.

    Args:
        recipe: What decides its content.
        size: Number of fakes.
        draw: Gives the fake of a number.
        device: Where the pool is to be.
        store: The user's cache by default.
        shard: Fakes that are kept at once.

    Raises:
        StoreError: They cannot be written; what was kept before stays.
    """
    kept = (store or Store(_LOG.warning)).artefact("falco-pool", recipe.material())
    numbers = [str(number) for number in range(size)]
    with kept.lock():
        missing = kept.missing(numbers)
        if missing:
            _LOG.info("FALCO's pool: %d of %d fakes are yet to be drawn", len(missing), size)
            pace = Pace("fakes of FALCO's pool", size, size - len(missing))
            for some in _shards(missing, shard):
                kept.write([_row(number, draw(int(number)), pace) for number in some])
    return Pool(*(_column(kept, numbers, name).to(device) for name in Fake._fields))


def _shards(numbers: Sequence[str], shard: int) -> Iterator[Sequence[str]]:
    return (numbers[start : start + shard] for start in range(0, len(numbers), shard))


def _row(number: str, fake: Fake, pace: Pace) -> Row:
    pace.advance()
    return Row(number, {name: value.cpu().numpy() for name, value in fake._asdict().items()})


def _column(kept: Artefact, numbers: Sequence[str], name: str) -> Tensor:
    rows = [np.asarray(row[name]) for row in kept.read(numbers, only=name)]
    return torch.from_numpy(np.stack(rows))
