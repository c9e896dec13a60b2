"""No images, for protocols that need none."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anonbench.data.base import ImageDataset
from anonbench.errors import BadImage
from anonbench.values import Sample


class NoImages(ImageDataset):
    """A dataset without files; its root is no place at all (see `anonbench.data.locate`)."""

    @classmethod
    def fits(cls, folder: Path) -> bool:
        """No folder is the dataset's."""
        return False

    def read(self, sample_id: str) -> NDArray[np.uint8]:
        """No image is there."""
        raise BadImage(f"The dataset '{self.card.name}' has no image {sample_id}.")

    def on_disk(self) -> tuple[Sample, ...]:
        """Nothing."""
        return ()

    def files(self) -> dict[str, str]:
        """Nothing."""
        return {}

    def _scan(self) -> tuple[Sample, ...]:
        return ()
