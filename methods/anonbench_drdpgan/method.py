"""DR-DPGAN as a method of the suite: anonymize, recover, and the bits between them.

Lin, Wang and Zheng, "DR-DPGAN: Dual Prior GAN for Image Privacy Based on Dynamic Reversibility",
Journal of Advanced Digital Communications (2025).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.errors import BadConfig
from anonbench.generative.models import drawn_bits, drawn_noise, noise_streams, one_of
from anonbench.nets.float_bits import WIDTH, Guard
from anonbench.values import Part
from anonbench_drdpgan.checkpoints import load_model
from anonbench_drdpgan.fake_identity import Refined, refine
from anonbench_drdpgan.inventory import inventory
from anonbench_drdpgan.networks import steering


class DrDpgan:
    """Gives faces a fake identity, hides the true one in the pixels, and restores it from them.

    What is random about an image comes from its key alone, by generators on the CPU, so that it
    depends neither on the device nor on the other images of a batch.

    Args:
        card: Its config says which `checkpoint`, an optional `bundle` in place of the checkpoint's
            weights, whether to `refine` fake identities image by image, at which `rate` and for
            how many steps (`limit`) at most, the `guard` on extracted floats and where the
            decoder's `noise` comes from.
        device: Where PyTorch runs the networks.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
        BadConfig: A parameter has a value that is not allowed, or the weights are of another size.
        BadData: A file of weights does not fit the networks.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        self.card = card
        config = card.config
        guard: Guard = one_of(card, "guard", get_args(Guard))
        self._noise = one_of(card, "noise", ("key", "fresh"))
        self._rate, self._limit = float(config["rate"]), int(config["limit"])
        if self._rate <= 0 or self._limit < 0:
            raise BadConfig(
                f"{card.name}: rate = {self._rate}, limit = {self._limit} is no way to refine.",
                mend="Give a rate above 0 and a limit of at least 0.",
            )
        self._model = load_model(str(config["checkpoint"]), str(config["bundle"]), device)
        networks = self._model.networks
        self._build, self._code = networks.build, networks.code(guard)
        self._model.require_fit(card, self._build.hidden_bits)
        self._refines = bool(config["refine"]) and self._build.guided

    @classmethod
    def parts(cls, card: MethodCard) -> list[Part]:
        """Every network that anonymizing and recovering run; see `anonbench.interfaces.Profiled`.

        Raises:
            BadData: The file that `bundle` names is none.
        """
        return inventory(str(card.config["checkpoint"]), str(card.config["bundle"]))

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Give the faces fake identities drawn from the keys; see `anonymize_with_remarks`."""
        return self.anonymize_with_remarks(faces, keys)[0]

    @torch.no_grad()
    def anonymize_with_remarks(
        self, faces: Tensor, keys: Sequence[bytes]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Give the faces fake identities drawn from the keys, and say how far these are away.

        Args:
            faces: `[B, 3, S, S]` in `[0, 1]`, aligned to the card's template.
            keys: B keys; they seed the noise from which the fake identity is made.

        Returns:
            `[B, 3, S, S]` in `[0, 1]`, with `hidden_bits(faces)` in it; and the remarks that the
            card names, `[B]` each.
        """
        images = self._model.signed(faces)
        identity = self._model.embed(images)
        fake = self._fake(identity, keys)
        bits = self._code.spread(_each(self._code.encode, identity))
        published = self._render(images, fake.identity, bits, keys)
        remarks = {
            "converged": fake.converged,
            "dummy_cosine": fake.cosine,
            "refinement_steps": fake.steps,
        }
        return published, {name: value.float() for name, value in remarks.items()}

    def _fake(self, identity: Tensor, keys: Sequence[bytes]) -> Refined:
        """Algorithm 1 for each image; without refinement what its generator was trained to."""
        fake = self._model.networks.fake_identity
        z = drawn_noise(keys, fake.hidden.in_features)
        limit = self._limit if self._refines else 0
        return refine(fake, z.to(identity), identity, self._build.wanted, self._rate, limit)

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
        identity = self.decode_bits(self._code.gather(self._model.extract(images)) > 0)
        placeholder = drawn_bits(keys, (self._build.architecture.identity, WIDTH))
        restored = self._render(images, identity, placeholder.to(images.device), keys)
        return restored.nan_to_num(nan=0.5)

    @torch.no_grad()
    def hidden_bits(self, faces: Tensor) -> Tensor:
        """The bits `[B, l]` of the faces' identities: their floats' own, or a learned code."""
        return _each(self._code.encode, self.hidden_numbers(faces))

    @torch.no_grad()
    def hidden_numbers(self, faces: Tensor) -> Tensor:
        """The faces' identities `[B, n]`, for which the hidden bits stand."""
        return self._model.embed(self._model.signed(faces))

    @torch.no_grad()
    def extract_bits(self, published: Tensor) -> Tensor:
        """The logits `[B, l]` read from published pixels."""
        return self._code.gather(self._model.extract(self._model.signed(published)))

    @torch.no_grad()
    def decode_bits(self, bits: Tensor) -> Tensor:
        """The identities `[B, n]` for which bits `[B, l]` stand."""
        return _each(self._code.decode, bits)

    def _render(
        self, images: Tensor, identity: Tensor, bits: Tensor, keys: Sequence[bytes]
    ) -> Tensor:
        """Images `[B, 3, S, S]` in `[-1, 1]` under an identity, in `[0, 1]` (Eqs. 1, 5 to 8)."""
        generators = noise_streams(keys, fresh=self._noise == "fresh")
        rows = zip(images, steering(identity), bits, generators, strict=True)
        rendered = [self._model.synthesize(x[None], f[None], b[None], [g]) for x, f, b, g in rows]
        return torch.cat(rendered)


def _each(function: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
    """What a function makes of every row alone: in another batch its last bits may be others."""
    return torch.cat([function(row[None]) for row in batch])
