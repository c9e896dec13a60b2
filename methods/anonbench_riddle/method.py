"""RiDDLE as methods of the suite: encrypt and decrypt a face's codes under a password."""

from collections.abc import Sequence

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.errors import BadData
from anonbench.generative.models import drawn_noise
from anonbench.nets.e4e import Inverter
from anonbench.nets.stylegan2 import Generator
from anonbench.values import Part
from anonbench_riddle.checkpoints import SIZES, load_networks
from anonbench_riddle.networks import DIM, LATENTS, LatentEncryptor


class RiddleReinvert:
    """Inverts a face to codes of StyleGAN2, encrypts these under a password, and draws the result.

    To recover, it inverts the published image, too. By its authors' own word that fails: those are
    other codes than the encrypted ones. `Riddle` recovers from the encrypted ones.

    A password is 512 numbers from N(0, 1), made of the key alone; a wrong bit is a number whose
    sign is turned. The generator's noise is that of its file, as with the authors.

    Args:
        card: Its config may name a file with an `encryptor` of the user's.
        device: Where PyTorch runs the networks.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
        BadData: A file does not fit its network, or the networks do not fit each other.
    """

    def __init__(self, card: MethodCard, device: str) -> None:
        self.card = card
        self._networks = load_networks(str(card.config["encryptor"]), device)

    @classmethod
    def parts(cls, card: MethodCard) -> list[Part]:
        """The encryptor, StyleGAN2 with its mapping, and e4e; see `anonbench.interfaces.Profiled`.

        The count of 40.03 M parameters in print is the first two; e4e runs for each image, too.
        """
        generator = Generator(SIZES).requires_grad_(False)
        codes, password = torch.randn(1, LATENTS, DIM), torch.randn(1, DIM)
        image = torch.rand(1, 3, SIZES.image, SIZES.image)
        return [
            Part("encryptor", LatentEncryptor(), (codes, password), core=True),
            Part("generator", generator, (codes, generator.stored_noise()), core=True),
            Part("e4e", Inverter.blank(), (image,)),
        ]

    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Give the faces the identities that their passwords stand for.

        Args:
            faces: `[B, 3, 256, 256]` in `[0, 1]`, aligned to the card's template.
            keys: B keys; a password follows from each.

        Returns:
            `[B, 3, 256, 256]` in `[0, 1]`: all of it drawn anew, the background as well.

        Raises:
            BadData: They have another size.
        """
        return self._draw(self._under_password(self._codes(faces), keys))

    def recover(self, published: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Try to restore the faces from the published images alone.

        Args:
            published: `[B, 3, 256, 256]` in `[0, 1]`.
            keys: B keys; where one is not that of anonymizing, a third identity is aimed at.

        Returns:
            `[B, 3, 256, 256]` in `[0, 1]`.
        """
        return self._draw(self._under_password(self._codes(published), keys))

    def recover_with_wrong_bits(
        self, given: Tensor, keys: Sequence[bytes], wrong: Tensor
    ) -> Tensor:
        """`recover` with some numbers of the right passwords turned in sign.

        Args:
            given: Published images `[B, 3, 256, 256]` in `[0, 1]`.
            keys: The B keys of anonymizing.
            wrong: Which numbers are turned, `[B, 512]` bool.

        Returns:
            `[B, 3, 256, 256]` in `[0, 1]`.
        """
        return self._draw(self._under_password(self._codes(given), keys, wrong))

    def invert(self, faces: Tensor) -> Tensor:
        """What e4e and StyleGAN2 make of faces without any encryption: the best recovery there is.

        The authors compare what they recover with these images, not with the faces (issue 4 of
        their repository).

        Args:
            faces: `[B, 3, 256, 256]` in `[0, 1]`.

        Returns:
            The same.
        """
        return self._draw(self._codes(faces))

    @torch.no_grad()
    def _codes(self, images: Tensor) -> Tensor:
        """W+ codes `[B, 14, 512]` of images in `[0, 1]`."""
        side = SIZES.image
        if images.shape[1:] != (3, side, side):
            raise BadData(
                f"RiDDLE takes RGB crops of {side} x {side} pixels, not "
                f"{' x '.join(map(str, images.shape[1:]))}.",
                mend=f"Align faces to the template '{self.card.template}'.",
            )
        codes: Tensor = self._networks.inverter(images)
        return codes

    @torch.no_grad()
    def _under_password(
        self, codes: Tensor, keys: Sequence[bytes], wrong: Tensor | None = None
    ) -> Tensor:
        """Encrypted codes of plain ones, or plain ones of encrypted: one network does both."""
        z = drawn_noise(keys, DIM).to(codes.device)
        if wrong is not None:
            z = torch.where(wrong.to(codes.device), -z, z)
        changed: Tensor = self._networks.encryptor(codes, self._networks.generator.map(z))
        return changed

    @torch.no_grad()
    def _draw(self, codes: Tensor) -> Tensor:
        """Images `[B, 3, 256, 256]` in `[0, 1]` of codes."""
        generator = self._networks.generator
        images: Tensor = generator(codes, generator.stored_noise())
        return ((images + 1) / 2).clamp(0, 1)


class Riddle(RiddleReinvert):
    """The same, but the encrypted codes are kept beside the image, and recovery starts from them.

    `recover` still tries with the image alone.
    """

    def anonymize_with_latent(self, faces: Tensor, keys: Sequence[bytes]) -> tuple[Tensor, Tensor]:
        """What `anonymize` returns, and the encrypted codes `[B, 14, 512]` that it is drawn of."""
        latents = self._under_password(self._codes(faces), keys)
        return self._draw(latents), latents

    def recover_from_latent(self, latents: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Restore the faces, as far as e4e could invert them.

        Args:
            latents: The encrypted codes `[B, 14, 512]`.
            keys: B keys; where one is not that of anonymizing, a third identity comes out.

        Returns:
            `[B, 3, 256, 256]` in `[0, 1]`.
        """
        return self._draw(self._under_password(latents, keys))

    def recover_with_wrong_bits(
        self, given: Tensor, keys: Sequence[bytes], wrong: Tensor
    ) -> Tensor:
        """`recover_from_latent` with some numbers of the right passwords turned in sign.

        Args:
            given: The encrypted codes `[B, 14, 512]`.
            keys: The B keys of anonymizing.
            wrong: Which numbers are turned, `[B, 512]` bool.

        Returns:
            `[B, 3, 256, 256]` in `[0, 1]`.
        """
        return self._draw(self._under_password(given, keys, wrong))
