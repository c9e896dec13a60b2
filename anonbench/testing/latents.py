"""Checks of the latents that a method keeps of each image, beside what `anonymize` returns.

What it recovers from them is checked as `recover` is, by `anonbench.testing.stages`.
"""

from functools import cached_property, partial

import torch
from torch import Tensor

from anonbench.interfaces import KeepsLatent
from anonbench.testing.outcome import NotConformingError, Rule
from anonbench.testing.randomness import isolated
from anonbench.testing.stages import TOLERANCE, Stage, difference


class Keeping:
    """A method that keeps latents, and the batch on which its `anonymize` was tried."""

    def __init__(self, method: KeepsLatent, anonymize: Stage) -> None:
        self.method, self.stage = method, anonymize

    def ask(self, rows: slice = slice(None), global_seed: int = 0) -> tuple[Tensor, Tensor]:
        """Anonymized images and latents of some of the batch."""
        images, keys = self.stage.images[rows].clone(), self.stage.keys[rows]
        with isolated(global_seed), torch.no_grad():
            return self.method.anonymize_with_latent(images, keys)

    @cached_property
    def kept(self) -> tuple[Tensor, Tensor]:
        """Those of the whole batch."""
        return self.ask()


def latent_rules(keeping: Keeping) -> list[Rule]:
    """All checks of latents."""
    table = (("shape", _shape), ("images", _images), ("repeatable", _repeatable), ("batch", _batch))
    return [
        Rule(f"latent: {name}", partial(check, keeping), () if name == "shape" else _SHAPE)
        for name, check in table
    ]


_SHAPE = ("latent: shape",)


def _shape(keeping: Keeping) -> str:
    """They are finite float32 numbers, as many for one image as for another."""
    latents, number = keeping.kept[1], len(keeping.stage.images)
    fitting = latents.shape[:1] == (number,) and latents.dtype == torch.float32
    if not fitting or not bool(latents.isfinite().all()) or latents.requires_grad:
        raise NotConformingError(
            f"anonymize_with_latent returned latents {tuple(latents.shape)} {latents.dtype}. "
            f"Return ({number}, ...) finite float32 numbers that require no gradient."
        )
    return f"{tuple(latents.shape)}, {latents[0].nbytes:,} bytes per image"


def _images(keeping: Keeping) -> str:
    """The images are those of `anonymize`."""
    found = difference(keeping.kept[0], keeping.stage.trial.output)
    if found > TOLERANCE:
        raise NotConformingError(
            f"anonymize_with_latent returned other images than anonymize (difference "
            f"{found:.3g}). Let one of them call the other."
        )
    return f"those of anonymize: difference {found:.2g}"


def _repeatable(keeping: Keeping) -> str:
    """Image and key decide the latent, whatever the global random states."""
    found = _relative(keeping.ask(global_seed=1)[1], keeping.kept[1])
    if found > TOLERANCE:
        raise NotConformingError(
            f"A second call gave other latents (difference {found:.3g}). Draw everything random "
            "from a generator seeded with the sample's key, and keep no state between calls."
        )
    return f"difference {found:.2g}"


def _batch(keeping: Keeping) -> str:
    """The latent of an image depends on nothing else in the batch."""
    rows = range(len(keeping.stage.images))
    alone = torch.cat([keeping.ask(slice(row, row + 1))[1] for row in rows])
    found = _relative(alone, keeping.kept[1])
    if found > TOLERANCE:
        raise NotConformingError(
            f"The latent of an image alone is another than in a batch (difference {found:.3g}). "
            "Use nothing but the image and its own key."
        )
    return f"difference {found:.2g}, allowed {TOLERANCE:g}"


def _relative(one: Tensor, other: Tensor) -> float:
    """The largest difference, of numbers beyond 1 in relation to the largest of them."""
    return difference(one, other) / max(1.0, float(other.double().abs().max()))
