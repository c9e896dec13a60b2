"""FIT as a method of the suite: anonymize under a password, recover under its complement."""

from collections.abc import Sequence

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.errors import BadConfig, BadData
from anonbench.values import Part
from anonbench_fit.checkpoints import load_model, unweighted_generator
from anonbench_fit.networks import BITS, Generator, password_code
from anonbench_fit.passwords import drawn_bits


class Fit:
    """Gives faces another identity by a password of 16 bits and restores them by the same one.

    One network does both; to recover, it is given the inverted password. Any other password gives
    a third identity.

    Args:
        card: Its config says which `checkpoint` (weights, amplitude of the password, and size),
            an optional `bundle` in place of its weights, and by which `statistics` the batch
            normalisations go: those of a fixed `reference` batch, or of the batch of each call,
            as with the `authors`.
        device: Where PyTorch runs the network.

    Raises:
        MissingArtefact: Weights, or LFW for the reference batch, are not on this machine.
        BadConfig: A parameter has an unknown value, or the weights are for another checkpoint.
        BadData: The file of weights does not fit the network.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        statistics = card.config["statistics"]
        if statistics not in ("reference", "authors"):
            raise BadConfig(
                f"{card.name}:statistics must be reference or authors, not '{statistics}'.",
                mend=f"Write {card.name}:statistics=reference",
            )
        self.card = card
        self._side = template(card.template).size
        self._by_batch = statistics == "authors"
        self._model = load_model(card, device, by_batch=self._by_batch)

    @classmethod
    def parts(cls, card: MethodCard) -> list[Part]:
        """The generator, as it sees one image; see `anonbench.interfaces.Profiled`."""
        generator, scheme = unweighted_generator(card)
        side = template(card.template).size
        code = password_code(torch.zeros(1, BITS, dtype=torch.bool), scheme)
        return [Part("generator", generator, (torch.rand(1, 3, side, side), code), core=True)]

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Give the faces the identities that their passwords stand for.

        Args:
            faces: `[B, 3, S, S]` in `[0, 1]`, aligned to the card's template.
            keys: B keys; a password follows from each (`drawn_bits`).

        Returns:
            `[B, 3, S, S]` in `[0, 1]`.
        """
        return self._changed(self._model.stages.anonymizer, faces, drawn_bits(keys))

    def recover(self, published: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Restore the faces; where a key is not that of anonymizing, a third identity comes out.

        Args:
            published: `[B, 3, S, S]` in `[0, 1]`.
            keys: B keys.

        Returns:
            `[B, 3, S, S]` in `[0, 1]`.
        """
        return self._changed(self._model.stages.recoverer, published, ~drawn_bits(keys))

    def recover_with_wrong_bits(
        self, given: Tensor, keys: Sequence[bytes], wrong: Tensor
    ) -> Tensor:
        """`recover` with some bits `[B, 16]` of the passwords inverted; see `TakesWrongBits`."""
        bits = ~drawn_bits(keys) ^ wrong.cpu()
        return self._changed(self._model.stages.recoverer, given, bits)

    @torch.no_grad()
    def _changed(self, generator: Generator, images: Tensor, bits: Tensor) -> Tensor:
        """Images in `[0, 1]` as the generator changes them, given bits `[B, 16]`."""
        signed = self._signed(images)
        code = password_code(bits, self._model.scheme).to(images.device)
        # One by one, since in another batch a convolution may round differently.
        size = len(signed) if self._by_batch else 1
        parts = zip(torch.split(signed, size), torch.split(code, size), strict=True)
        changed = torch.cat([generator(*part) for part in parts])
        return ((changed + 1) / 2).clamp(0, 1)

    def _signed(self, images: Tensor) -> Tensor:
        if images.shape[1:] != (3, self._side, self._side):
            raise BadData(
                f"This checkpoint takes RGB crops of {self._side} x {self._side} pixels, not "
                f"{' x '.join(map(str, images.shape[1:]))}.",
                mend=f"Align faces to the template '{self.card.template}'.",
            )
        return ((images - 0.5) / 0.5).contiguous()  # memory order decides last bits, too
