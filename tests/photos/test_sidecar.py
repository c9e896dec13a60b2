"""Sidecars: what comes back, and what nobody can read or change without the key."""

import sys

import numpy as np
import pytest

from anonbench.errors import BadImage, MissingExtra
from anonbench.photos import sidecar
from anonbench.photos.keys import public_keys, secret_keys
from anonbench.photos.record import FaceRecord, PhotoRecord
from anonbench.results.record import PluginRef

SALT = bytes(range(16))
RECORD = PhotoRecord(
    method=PluginRef(name="toy-drawer", version=1, config={}, weights={}),
    template="ffhq-64",
    width=300,
    height=200,
    salt=SALT.hex(),
    keyed=True,
    faces=(FaceRecord(matrix=((0.5, 0.1, 3.0), (-0.1, 0.5, 1 / 3)), kept=0.25),) * 2,
)


@pytest.fixture
def crops() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))


@pytest.fixture
def keys(cheap_secrets):
    return secret_keys("word", SALT)


@pytest.fixture
def sealed(crops, keys, tmp_path):
    path = tmp_path / "photo.anonbench"
    path.write_bytes(sidecar.seal(RECORD, crops, keys))
    return path


def test_record_and_crops_come_back_to_the_last_bit(sealed, crops, keys) -> None:
    record, found = sidecar.unseal(sealed, keys)
    assert record == RECORD
    assert np.array_equal(found, crops)
    assert sidecar.salt_of(sealed) == SALT
    assert sealed == sidecar.beside(sealed.with_suffix(".png"))


def test_nothing_but_the_salt_can_be_read(sealed) -> None:
    data = sealed.read_bytes()
    body = data[data.index(SALT) + 16 :]
    for clear in (b"PK\x03\x04", b"PNG", b"IDAT", b"record", b"toy-drawer", b"matrix"):
        assert clear not in data
    values = np.bincount(np.frombuffer(body, np.uint8), minlength=256)
    assert values.max() < 1.5 * values.mean(), "as even as noise"


def test_the_same_photo_is_never_sealed_twice_alike(sealed, crops, keys) -> None:
    assert sidecar.seal(RECORD, crops, keys) != sealed.read_bytes()


@pytest.mark.parametrize("other", [secret_keys, lambda _, salt: public_keys(salt)])
def test_other_keys_open_nothing(sealed, other, cheap_secrets) -> None:
    with pytest.raises(BadImage, match=r"cannot be opened.*key is wrong"):
        sidecar.unseal(sealed, other("wrong", SALT))


@pytest.mark.parametrize("place", [21, 37, 60, 5000, -1])
def test_a_changed_byte_is_noticed(sealed, keys, place) -> None:
    data = bytearray(sealed.read_bytes())
    data[place] ^= 1
    sealed.write_bytes(data)
    with pytest.raises(BadImage, match="cannot be opened"):
        sidecar.unseal(sealed, keys)


@pytest.mark.parametrize("content", [b"", b"anonbench sidecar 1\nshort", b"\x89PNG" + bytes(99)])
def test_another_file_is_no_sidecar(tmp_path, content) -> None:
    path = tmp_path / "a.anonbench"
    path.write_bytes(content)
    with pytest.raises(BadImage, match="no sidecar"):
        sidecar.salt_of(path)


def test_without_the_package_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtra, match=r"pip install 'anonbench\[photos\]'"):
        sidecar.require_cipher()
