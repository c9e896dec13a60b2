"""The file beside a photo with its crops exactly as the method made them.

A sidecar is a magic line, the photo's salt, a nonce, and a zip encrypted with AES-256-GCM under a
key derived from the secret; what stands before the zip is authenticated. The zip holds the photo's
record and one PNG per crop. The crops are anonymized; nothing of the original is in it.
"""

import io
import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anonbench.data.images import decode_image, encode_png
from anonbench.data.warp import Pixels
from anonbench.errors import BadImage, MissingExtra
from anonbench.photos import record
from anonbench.photos.keys import SALT_BYTES, Keys
from anonbench.photos.record import PhotoRecord

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SUFFIX = ".anonbench"

_MAGIC = b"anonbench sidecar 1\n"
_NONCE_BYTES = 12
_HEAD = len(_MAGIC) + SALT_BYTES + _NONCE_BYTES


def beside(photo: Path) -> Path:
    """Where the sidecar of a photo stands."""
    return photo.with_suffix(SUFFIX)


def seal(content: PhotoRecord, crops: Sequence[Pixels], keys: Keys) -> bytes:
    """A sidecar.

    Args:
        content: The photo's record.
        crops: `[S, S, 3]` uint8 each, in the order of its faces.
        keys: The photo's.

    Raises:
        MissingExtra: The package `cryptography` is not installed.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("record.json", content.model_dump_json())
        for number, crop in enumerate(crops):
            archive.writestr(f"{number}.png", encode_png(crop))
    head = _MAGIC + content.salt_bytes + secrets.token_bytes(_NONCE_BYTES)
    return head + _cipher(keys).encrypt(head[-_NONCE_BYTES:], buffer.getvalue(), head)


def salt_of(path: Path) -> bytes:
    """The salt of the photo that a sidecar belongs to.

    Raises:
        BadImage: The file is no sidecar.
    """
    head = _read(path)[:_HEAD]
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        raise BadImage(
            f"{path} is no sidecar that this version of anonbench can read.",
            mend="Move it away to recover from the photo's own pixels.",
        )
    return head[len(_MAGIC) : -_NONCE_BYTES]


def unseal(path: Path, keys: Keys) -> tuple[PhotoRecord, list[Pixels]]:
    """The photo's record and its crops.

    Raises:
        BadImage: The file was changed, or the keys are not the photo's.
        MissingExtra: The package `cryptography` is not installed.
    """
    data = _read(path)
    with zipfile.ZipFile(io.BytesIO(_decrypt(path, keys, data[:_HEAD], data[_HEAD:]))) as archive:
        photo = record.parse(archive.read("record.json"), str(path))
        crops = [decode_image(archive.read(f"{n}.png")) for n in range(len(photo.faces))]
    return photo, crops


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadImage(f"The sidecar {path} cannot be read: {error.strerror}.") from error


def _decrypt(path: Path, keys: Keys, head: bytes, data: bytes) -> bytes:
    cipher = _cipher(keys)
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(head[-_NONCE_BYTES:], data, head)
    except InvalidTag as error:
        raise BadImage(
            f"The sidecar {path} cannot be opened.",
            why="The key is wrong, or the file was changed.",
            mend="Give the --key that the photo was anonymized with.",
        ) from error


def require_cipher() -> None:
    """Make sure that sidecars can be written here, before any work is done.

    Raises:
        MissingExtra: The package `cryptography` is not installed.
    """
    _cipher(Keys(bytes(32)))


def _cipher(keys: Keys) -> "AESGCM":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingExtra("cryptography", "photos", "A sidecar") from error
    return AESGCM(keys.sidecar)
