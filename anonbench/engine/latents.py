"""Latents: what a method keeps of each image that it anonymizes, and recovers from.

They are stored beside the published images and reach a recipient as they are: no channel alters
them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import MethodCard
from anonbench.engine.store import Artefact
from anonbench.errors import UserError

if TYPE_CHECKING:
    import torch

COLUMN = "latent"
"""Of stored rows: a float32 array, of the same shape for every image of a method."""


def checked_latents(card: MethodCard, latents: "torch.Tensor", number: int) -> NDArray[np.float32]:
    """A method's latents `[number, ...]`; UserError where they are not finite float32 numbers."""
    import torch

    fitting = latents.shape[:1] == (number,) and latents.dtype == torch.float32
    if not fitting or not bool(latents.isfinite().all()):
        raise UserError(
            f"The method '{card.name}' returned latents {tuple(latents.shape)} of {latents.dtype} "
            f"for {number} crops, instead of finite float32 numbers ({number}, ...).",
            mend=f"Mend the method; see: anonbench test-method {card.name}",
        )
    array: NDArray[np.float32] = latents.detach().cpu().numpy()
    return array


def bytes_per_image(published: Artefact, ids: Sequence[str]) -> int:
    """Bytes of the latent that is kept of an image; 0 where no image was published."""
    failed = published.failed(ids)
    first = next((i for i in ids if i not in failed), None)
    if first is None:
        return 0
    rows: list[Any] = [row[COLUMN] for row in published.read([first], only=COLUMN)]
    return int(rows[0].nbytes)
