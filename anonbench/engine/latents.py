"""Latents: what a method keeps of each image that it anonymizes, and recovers from.

They are stored beside the published images and reach a recipient as they are: no channel alters
them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import MethodCard
from anonbench.engine import models
from anonbench.engine.store import Artefact
from anonbench.errors import UserError

if TYPE_CHECKING:
    import torch

COLUMN = "latent"
"""Of stored rows: a float32 array, of the same shape for every image of a method."""


def checked_latents(card: MethodCard, latents: "torch.Tensor", number: int) -> "torch.Tensor":
    """A method's latents `[number, ...]` as float32; UserError where they are something else."""
    import torch

    known = (torch.float32, torch.bfloat16)  # the second under `--precision bf16`
    if latents.shape[:1] != (number,) or latents.dtype not in known:
        raise _broken(card, f"latents {tuple(latents.shape)} of {latents.dtype} for {number} crops")
    return latents.detach().float()


def finite_latent(card: MethodCard, latent: NDArray[np.float32]) -> NDArray[np.float32]:
    """The latent of an image as it is; UserError where a number in it is not finite."""
    if not np.isfinite(latent).all():
        raise _broken(card, "latents that are not finite")
    return latent


def _broken(card: MethodCard, returned: str) -> UserError:
    said = f"The method '{card.name}' returned {returned}, not finite float32 numbers (B, ...)."
    return models.misbehaving(card, said)


def bytes_per_image(published: Artefact, ids: Sequence[str]) -> int:
    """Bytes of the latent that is kept of an image; 0 where no image was published."""
    failed = published.failed(ids)
    first = next((i for i in ids if i not in failed), None)
    if first is None:
        return 0
    rows: list[Any] = [row[COLUMN] for row in published.read([first], only=COLUMN)]
    return int(rows[0].nbytes)
