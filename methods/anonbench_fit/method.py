"""FIT as a method of the suite: anonymize under a password, recover under its complement."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.errors import BadConfig, BadData
from anonbench.values import Part, sample_key
from anonbench_fit.checkpoints import load_generator
from anonbench_fit.networks import BITS, Generator, Scheme, password_bits, password_code
from anonbench_fit.reference import normalised_by, reference_faces


class Fit:
    """Gives faces another identity by a password of 16 bits and restores them by the same one.

    One network does both; to recover, it is given the inverted password. Any other password gives
    a third identity.

    Args:
        card: Its config says which `checkpoint` (amplitude of the password, and size), and by
            which `statistics` the batch normalisations go: those of a fixed `reference` batch, or
            of the batch of each call, as with the `authors`.
        device: Where PyTorch runs the network.

    Raises:
        MissingArtefact: Weights, or LFW for the reference batch, are not on this machine.
        BadConfig: A parameter has an unknown value.
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
        self._scheme = _scheme(card)
        self._side = template(card.template).size
        generator = load_generator(self._scheme).to(device)
        self._anonymizer = self._recoverer = generator
        if statistics == "reference":
            self._fix_statistics(generator, reference_faces(self._side).to(device))

    @classmethod
    def parts(cls, card: MethodCard) -> list[Part]:
        """The generator, as it sees one image; see `anonbench.interfaces.Profiled`."""
        side = template(card.template).size
        code = password_code(password_bits(torch.zeros(1, dtype=torch.long)), _scheme(card))
        return [Part("generator", Generator(), (torch.rand(1, 3, side, side), code), core=True)]

    @torch.no_grad()
    def anonymize(self, faces: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Give the faces the identities that their passwords stand for.

        Args:
            faces: `[B, 3, S, S]` in `[0, 1]`, aligned to the card's template.
            keys: B keys; a password follows from each (`passwords`).

        Returns:
            `[B, 3, S, S]` in `[0, 1]`.
        """
        bits = password_bits(passwords(keys))
        return _unsigned(self._anonymizer(self._signed(faces), self._code(bits, faces)))

    def recover(self, published: Tensor, keys: Sequence[bytes]) -> Tensor:
        """Restore the faces; where a key is not that of anonymizing, a third identity comes out.

        Args:
            published: `[B, 3, S, S]` in `[0, 1]`.
            keys: B keys.

        Returns:
            `[B, 3, S, S]` in `[0, 1]`.
        """
        return self.recover_with(published, password_bits(passwords(keys)))

    @torch.no_grad()
    def recover_with(self, published: Tensor, bits: Tensor) -> Tensor:
        """`recover` with passwords that are given as their bits `[B, 16]` (bool)."""
        return _unsigned(self._recoverer(self._signed(published), self._code(~bits, published)))

    def _fix_statistics(self, generator: Generator, faces: Tensor) -> None:
        """Fix the statistics of both stages: a recipient's images are anonymized ones."""
        bits = password_bits(passwords([sample_key(0, f"{i}") for i in range(len(faces))]))
        code = self._code(bits, faces)
        self._anonymizer, anonymized = normalised_by(generator, self._signed(faces), code)
        published = (_unsigned(anonymized) * 255).round() / 255
        self._recoverer, _ = normalised_by(generator, self._signed(published), -code)

    def _signed(self, images: Tensor) -> Tensor:
        if images.shape[1:] != (3, self._side, self._side):
            raise BadData(
                f"This checkpoint takes RGB crops of {self._side} x {self._side} pixels, not "
                f"{' x '.join(map(str, images.shape[1:]))}.",
                mend=f"Align faces to the template '{self.card.template}'.",
            )
        return (images - 0.5) / 0.5

    def _code(self, bits: Tensor, images: Tensor) -> Tensor:
        return password_code(bits, self._scheme).to(images.device)


def passwords(keys: Sequence[bytes]) -> Tensor:
    """A password `[B]` from 0 to 65535 for each key: the first 16 bits of a SHA-256 of it.

    With so few, one in 65,536 wrong keys has the right password.
    """
    drawn = [hashlib.sha256(b"password of FIT\0" + key).digest()[: BITS // 8] for key in keys]
    return torch.tensor([int.from_bytes(two, "big") for two in drawn])


def flip_curve(method: Fit, published: Tensor, keys: Sequence[bytes]) -> Tensor:
    """How far recovery goes astray with the number of wrong bits in the password.

    Args:
        method: The method that anonymized.
        published: `[B, 3, S, S]` in `[0, 1]`.
        keys: The B keys of anonymizing; also the order in which bits go wrong is drawn from each.

    Returns:
        `[17]`, the mean absolute difference to the recovery with the right password, for 0 to 16
        wrong bits.
    """
    right = password_bits(passwords(keys))
    seeds = [int.from_bytes(hashlib.sha256(b"flips\0" + key).digest()[:7], "big") for key in keys]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    places = torch.stack([torch.randperm(BITS, generator=generator) for generator in generators])
    recovered = [method.recover_with(published, right ^ (places < n)) for n in range(BITS + 1)]
    return torch.stack([(one - recovered[0]).abs().mean() for one in recovered])


def _scheme(card: MethodCard) -> Scheme:
    """The amplitude that a checkpoint was trained with, which its name begins with."""
    return "one_fourth" if str(card.config["checkpoint"]).startswith("one_fourth") else "half"


def _unsigned(images: Tensor) -> Tensor:
    return ((images + 1) / 2).clamp(0, 1)
