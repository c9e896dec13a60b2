"""Keys of the faces in a photo, from the user's secret and the photo's salt."""

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass

from anonbench.cards import MethodCard
from anonbench.errors import BadConfig
from anonbench.photos.undo import can_undo

SALT_BYTES = 16

_COST, _BLOCK = 2**17, 8
"""scrypt's N and r: 128 MiB and a third of a second for every guess at a secret."""


@dataclass(frozen=True)
class Keys:
    """All keys of one photo.

    Attributes:
        root: 32 bytes from which each of them is derived with HMAC-SHA-256 (HKDF's second step,
            RFC 5869).
    """

    root: bytes

    def face(self, number: int) -> bytes:
        """The 32-byte key of a face, by its place in the photo's record."""
        return self._derive(f"face {number}")

    @property
    def sidecar(self) -> bytes:
        """The 32-byte key that the photo's sidecar is encrypted with."""
        return self._derive("sidecar")

    def _derive(self, purpose: str) -> bytes:
        info = f"anonbench photo 1, {purpose}".encode()
        return hmac.new(self.root, info + b"\x01", hashlib.sha256).digest()


def new_salt() -> bytes:
    """A salt for one photo."""
    return secrets.token_bytes(SALT_BYTES)


def secret_keys(secret: str, salt: bytes) -> Keys:
    """Keys that only who knows the secret can derive (scrypt, RFC 7914)."""
    text = unicodedata.normalize("NFC", secret).encode()
    memory = 2 * 128 * _COST * _BLOCK
    return Keys(hashlib.scrypt(text, salt=salt, n=_COST, r=_BLOCK, p=1, maxmem=memory, dklen=32))


def public_keys(salt: bytes) -> Keys:
    """Keys that anyone can derive who has the photo: for methods whose key is a mere seed."""
    return Keys(hashlib.sha256(b"anonbench photo 1, public" + salt).digest())


def forgotten_keys() -> Keys:
    """Keys that nobody can derive again: for methods that cannot be undone."""
    return Keys(secrets.token_bytes(32))


def new_keys(card: MethodCard, secret: str, salt: bytes) -> Keys:
    """The keys with which to anonymize a photo.

    Args:
        card: The method; without a secret its kind of key decides.
        secret: The user's, or empty.
        salt: The photo's.

    Raises:
        BadConfig: The method is nothing without a secret, and there is none.
    """
    require_secret(card, secret)
    if secret:
        return secret_keys(secret, salt)
    return public_keys(salt) if can_undo(card) else forgotten_keys()


def require_secret(card: MethodCard, secret: str) -> None:
    """Refuse a method whose key is a password where there is no secret.

    Raises:
        BadConfig: It is so.
    """
    if card.key == "password" and not secret:
        raise BadConfig(
            f"{card.name} works with a secret, and none was given.",
            mend="Add --key SECRET, or set ANONBENCH_KEY, which other users of this machine "
            "cannot read.",
        )
