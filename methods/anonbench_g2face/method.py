"""G²Face as a method of the suite: anonymize, recover, and the bits between them."""

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.generative.models import drawn_bits, drawn_noise, noise_streams, one_of
from anonbench.nets.float_bits import (
    WIDTH,
    Guard,
    bits_to_floats,
    floats_to_bits,
    logits_to_bits,
)
from anonbench.values import Part
from anonbench_g2face.checkpoints import load_model, require_preset
from anonbench_g2face.inventory import inventory


class G2Face:
    """Gives faces another identity, hides the true one in the pixels, and restores it from them.

    What is random about an image comes from its key alone, by generators on the CPU, so that it
    depends neither on the device nor on the other images of a batch.

    Args:
        card: Its config says which `checkpoint` (`demo`, `official`), an optional `bundle` in
            place of the checkpoint's weights, which `preset` the weights must have been trained
            with (`checkpoint`: whichever they were), the `guard` on extracted floats and where
            the decoder's `noise` comes from.
        device: Where PyTorch runs the networks.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
        BadConfig: A parameter has an unknown value, or the weights are of another size or build.
        BadData: A file of weights does not fit the networks.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        self.card = card
        config = card.config
        self._guard = one_of(card, "guard", get_args(Guard))
        self._noise = one_of(card, "noise", ("key", "fresh"))
        self._model = load_model(str(config["checkpoint"]), str(config["bundle"]), device)
        self._architecture = self._model.networks.architecture
        self._model.require_fit(card, self._architecture.bits)
        if config["preset"] != "checkpoint":
            require_preset(self._architecture, str(config["preset"]))

    @classmethod
    def parts(cls, card: MethodCard) -> list[Part]:
        """Every network that anonymizing and recovering run; see `anonbench.interfaces.Profiled`.

        Raises:
            BadData: The file that `bundle` names is none.
        """
        return inventory(str(card.config["checkpoint"]), str(card.config["bundle"]))

    @torch.no_grad()
    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Give the faces identities drawn from the keys.

        Args:
            faces: `[B, 3, S, S]` in `[0, 1]`, aligned to the card's template.
            keys: B keys; they seed the noise from which the new identity is made.

        Returns:
            `[B, 3, S, S]` in `[0, 1]`, with `hidden_bits(faces)` in it.
        """
        images = self._model.signed(faces)
        bits = floats_to_bits(self._model.embed(images))
        z = drawn_noise(keys, self._architecture.identity)
        dummy = self._model.networks.map_2_id(z.to(images.device))
        return self._render(images, dummy, bits, keys)

    @torch.no_grad()
    def recover(self, published: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Restore the faces from published pixels: the identity is what can be read from them.

        Args:
            published: `[B, 3, S, S]` in `[0, 1]`.
            keys: B keys; they seed the decoder's noise and the placeholder that takes the
                password's place. There is no secret: any keys recover the face.

        Returns:
            `[B, 3, S, S]` in `[0, 1]`. With the guard `raw`, a crop whose bits say infinity or
            NaN comes out grey: nothing was recovered.
        """
        images = self._model.signed(published)
        bits = logits_to_bits(self._model.extract(images))
        identity = bits_to_floats(bits, self._guard)
        placeholder = drawn_bits(keys, (self._architecture.identity, WIDTH))
        restored = self._render(images, identity, placeholder.to(images.device), keys)
        return restored.nan_to_num(nan=0.5) if self._guard == "raw" else restored

    @torch.no_grad()
    def hidden_bits(self, faces: Tensor) -> Tensor:
        """The bits `[B, 32 n]` of the faces' identities, `n` floats each; float32, sign first."""
        return floats_to_bits(self._model.embed(self._model.signed(faces))).flatten(1)

    @torch.no_grad()
    def extract_bits(self, published: Tensor) -> Tensor:
        """The logits `[B, 32 n]` read from published pixels."""
        return self._model.extract(self._model.signed(published)).flatten(1)

    def _render(
        self, images: Tensor, identity: Tensor, bits: Tensor, keys: Sequence[bytes]
    ) -> Tensor:
        """Images `[B, 3, S, S]` in `[-1, 1]` under an identity, in `[0, 1]`."""
        generators = noise_streams(keys, fresh=self._noise == "fresh")
        return self._model.synthesize(images, identity, bits, generators)
