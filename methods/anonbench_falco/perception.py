"""How the two networks that FALCO's losses are measured by see images.

The authors' code (chi0tzp/FALCO: `lib/id_loss.py`, `lib/attr_loss.py`, `create_fake_dataset.py`)
shows them originals in `[0, 1]` and generated images in `[-1, 1]`. IR-SE50 was trained with
`[-1, 1]`, FaRL with images standardised by CLIP's mean and deviation, which the code does for
neighbours and leaves out for attributes. So a loss compares two images of which one is paler.
`trained` shows each network what it was trained with.
"""

from typing import Literal

from torch import Tensor, nn

from anonbench.nets.farl import Farl, shrink
from anonbench.nets.ir_se50 import face_region
from anonbench_falco.settings import Ranges

Origin = Literal["original", "generated"]

IDENTITY_SIDE = 256
"""Pixels of the aligned image from which the identity loss crops the face."""


class Perception(nn.Module):
    """IR-SE50 and FaRL, and how images reach them.

    All images are square, FFHQ-aligned, of any size, RGB and nominally in `[0, 1]`; of which
    origin they are decides about their range where that is the authors'.

    Args:
        recogniser: `[B, 3, 112, 112]` in `[0, 1]` to embeddings of length one.
        attributes: FaRL.
        ranges: Of pixels.
    """

    def __init__(self, recogniser: nn.Module, attributes: Farl, ranges: Ranges) -> None:
        super().__init__()
        self.recogniser, self.attributes = recogniser, attributes
        self.ranges = ranges

    def identity(self, images: Tensor, origin: Origin) -> Tensor:
        """Embeddings `[B, 512]` of length one."""
        if self.ranges == "authors" and origin == "original":
            images = (images + 1) / 2  # IrSe50 takes it to [0, 1], where the authors leave it
        embeddings: Tensor = self.recogniser(face_region(shrink(images, IDENTITY_SIDE)))
        return embeddings

    def tokens(self, images: Tensor, origin: Origin) -> Tensor:
        """FaRL's tokens `[B, 197, 768]` behind its last block, by which attributes are kept."""
        seen = self._for_farl(images, origin)
        return self.attributes.tokens(seen, standardise=self.ranges == "trained")

    def features(self, images: Tensor, origin: Origin) -> Tensor:
        """FaRL's features `[B, 512]`, by which the most similar fake is found."""
        features: Tensor = self.attributes(self._for_farl(images, origin))
        return features

    def _for_farl(self, images: Tensor, origin: Origin) -> Tensor:
        if self.ranges == "authors" and origin == "generated":
            images = images * 2 - 1
        return shrink(images, self.attributes.geometry.image)
