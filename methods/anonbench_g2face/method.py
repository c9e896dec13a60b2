"""G²Face as a method of the suite: anonymize, recover, and the bits between them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import torch
from torch import Tensor

from anonbench.cards import ConfigValue, MethodCard
from anonbench.data.align import template
from anonbench.errors import BadConfig, BadData
from anonbench.nets.float_bits import (
    WIDTH,
    Guard,
    bits_to_floats,
    floats_to_bits,
    logits_to_bits,
)
from anonbench.nets.stylegan2 import draw_noise
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
        self._guard = _choice(config, "guard", get_args(Guard))
        self._noise = _choice(config, "noise", ("key", "fresh"))
        self._model = load_model(str(config["checkpoint"]), str(config["bundle"]), device)
        self._architecture = self._model.networks.architecture
        self._require_card_fits()
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
        images = self._signed(faces)
        bits = floats_to_bits(self._embed(images))
        z = torch.stack(
            [torch.randn(self._architecture.identity, generator=_stream(k, "z")) for k in keys]
        )
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
        images = self._signed(published)
        bits = logits_to_bits(self._extract(images))
        identity = bits_to_floats(bits, self._guard)
        shape = (self._architecture.identity, WIDTH)
        placeholder = torch.stack(
            [torch.randint(2, shape, generator=_stream(k, "placeholder")).bool() for k in keys]
        )
        restored = self._render(images, identity, placeholder.to(images.device), keys)
        return restored.nan_to_num(nan=0.5) if self._guard == "raw" else restored

    @torch.no_grad()
    def hidden_bits(self, faces: Tensor) -> Tensor:
        """The bits `[B, 32 n]` of the faces' identities, `n` floats each; float32, sign first."""
        return floats_to_bits(self._embed(self._signed(faces))).flatten(1)

    @torch.no_grad()
    def extract_bits(self, published: Tensor) -> Tensor:
        """The logits `[B, 32 n]` read from published pixels."""
        return self._extract(self._signed(published)).flatten(1)

    # One image at a time: in another batch a convolution may round differently. That would be
    # another last bit, and it is bits that are hidden, read and compared.
    def _embed(self, images: Tensor) -> Tensor:
        return torch.cat([self._model.identity.embed(image[None]) for image in images])

    def _extract(self, images: Tensor) -> Tensor:
        extractor = self._model.networks.hiding_extractor
        return torch.cat([extractor(image[None]) for image in images])

    def _render(
        self, images: Tensor, identity: Tensor, bits: Tensor, keys: Sequence[bytes]
    ) -> Tensor:
        """Images `[B, 3, S, S]` in `[-1, 1]` under an identity, in `[0, 1]`."""
        model, networks = self._model, self._model.networks
        wplus = networks.style_mlp(identity, model.geometry.coefficients(images))
        noise = [maps.to(images.device) for maps in self._draw_noise(keys)]
        drawn = model.render(identity, images) if model.render else None
        output: Tensor = networks.anonymous_net(images, wplus, bits, noise, drawn)
        return ((output.float() + 1) / 2).clamp(0, 1)

    def _draw_noise(self, keys: Sequence[bytes]) -> list[Tensor]:
        generators = [_stream(key, "noise") for key in keys]
        if self._noise == "fresh":
            for generator in generators:
                generator.seed()
        return draw_noise(self._architecture.sizes, generators)

    def _signed(self, images: Tensor) -> Tensor:
        """Crops in `[0, 1]` as networks take them: in `[-1, 1]`, in the authors' two steps."""
        side = self._architecture.sizes.image
        if images.shape[1:] != (3, side, side):
            raise BadData(
                f"This checkpoint of G²Face takes RGB crops of {side} x {side} pixels, not "
                f"{' x '.join(map(str, images.shape[1:]))}.",
                mend=f"Align faces to the template '{self.card.template}'.",
            )
        return ((images - 0.5) / 0.5).contiguous()  # memory order decides last bits, too

    def _require_card_fits(self) -> None:
        found = self._architecture.sizes.image, self._architecture.bits
        wanted = template(self.card.template).size, self.card.hidden_bits
        if found != wanted:
            raise BadConfig(
                f"The weights of G²Face are for {found[0]} pixels and {found[1]} bits, the "
                f"checkpoint '{self.card.config['checkpoint']}' for {wanted[0]} and {wanted[1]}.",
                mend="Choose the checkpoint whose size they were trained for.",
            )


def _stream(key: bytes, purpose: str) -> torch.Generator:
    """A generator on the CPU for one use of a key; uses do not share numbers."""
    digest = hashlib.sha256(purpose.encode() + b"\0" + key).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


def _choice(config: Mapping[str, ConfigValue], name: str, choices: tuple[Any, ...]) -> Any:
    if config[name] not in choices:
        raise BadConfig(
            f"g2face:{name} must be {' or '.join(choices)}, not '{config[name]}'.",
            mend=f"Write g2face:{name}={choices[0]}",
        )
    return config[name]
