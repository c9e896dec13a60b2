"""CIAGAN as a method of the suite."""

from collections.abc import Mapping, Sequence
from typing import get_args

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from anonbench.cards import MethodCard
from anonbench.errors import BadData
from anonbench.generative.models import key_stream, one_of
from anonbench.values import Part
from anonbench_ciagan.checkpoints import load_generator
from anonbench_ciagan.drawing import (
    SIDE,
    Colour,
    face_mask,
    landmark_image,
    mask_to_crop,
    to_crop,
    to_frame,
)
from anonbench_ciagan.landmarks import LandmarkFinder
from anonbench_ciagan.networks import IDENTITIES, Generator, composite


class Ciagan:
    """Draws a face anew from its landmarks and what is around it, as one of 1,200 people.

    Who that is comes from the sample's key alone. Outside the face's polygon nothing is changed.

    Args:
        card: Its config says which colour the `lines` of the landmarks have.
        device: Where PyTorch runs the generator.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
        BadConfig: There is no such colour.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        self.card = card
        self._lines: Colour = one_of(card, "lines", get_args(Colour))
        self._generator = load_generator(device)
        self._finder = LandmarkFinder()

    @classmethod
    def parts(cls, card: MethodCard) -> list[Part]:
        """The generator; see `anonbench.interfaces.Profiled`. dlib's landmarks are no network."""
        image = torch.rand(1, 3, SIDE, SIDE)
        inputs = (image, image, torch.eye(IDENTITIES)[:1])
        return [Part("generator", Generator(), inputs, core=True)]

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Replace the faces by those of people drawn from the keys.

        Args:
            faces: `[B, 3, 128, 128]` in `[0, 1]`, aligned to the template `ciagan-128`.
            keys: B keys; each says which of the 1,200 people is drawn.

        Returns:
            `[B, 3, 128, 128]` in `[0, 1]`; outside the faces the given pixels.

        Raises:
            BadData: They have another size.
        """
        return self.anonymize_with_remarks(faces, keys)[0]

    @torch.no_grad()
    def anonymize_with_remarks(
        self, faces: Tensor, keys: Sequence[bytes]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The same, and `face_found`: 1 where dlib found the face in its crop, 0 where not."""
        if faces.shape[1:] != (3, SIDE, SIDE):
            raise BadData(
                f"CIAGAN takes RGB crops of {SIDE} x {SIDE} pixels, not "
                f"{' x '.join(map(str, faces.shape[1:]))}.",
                mend=f"Align faces to the template '{self.card.template}'.",
            )
        located = [self._finder.locate(face) for face in faces]
        drawn = torch.stack([landmark_image(one.points, self._lines) for one in located])
        mask = torch.stack([face_mask(one.points) for one in located]).to(faces.device)
        surroundings = to_frame(faces) * (1 - mask)
        identity = one_hot(chosen_identities(keys), IDENTITIES).float()
        generated = self._generator(drawn.to(faces.device), surroundings, identity.to(faces.device))
        anonymized = composite(to_crop(generated), faces, mask_to_crop(mask))
        return anonymized, {"face_found": torch.tensor([one.found for one in located])}


def chosen_identities(keys: Sequence[bytes]) -> Tensor:
    """Which of the 1,200 people each key stands for: `[B]` int64."""
    return torch.cat(
        [torch.randint(IDENTITIES, (1,), generator=key_stream(key, "identity")) for key in keys]
    )
