"""Keys of faces and sidecars, against another implementation of the same standards."""

import unicodedata

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from anonbench import registry
from anonbench.errors import BadConfig
from anonbench.photos import keys as photo_keys
from anonbench.photos.keys import new_keys, new_salt, public_keys, secret_keys

SALT = bytes(range(16))


def card(name: str):
    return registry.methods.card(name)


def test_keys_are_those_of_scrypt_and_hkdf() -> None:
    root = Scrypt(salt=SALT, length=32, n=2**17, r=8, p=1).derive(b"four random words")
    keys = secret_keys("four random words", SALT)
    for purpose, key in (("face 0", keys.face(0)), ("face 7", keys.face(7))):
        info = f"anonbench photo 1, {purpose}".encode()
        assert key == HKDFExpand(SHA256(), 32, info).derive(root)
    assert keys.sidecar == HKDFExpand(SHA256(), 32, b"anonbench photo 1, sidecar").derive(root)


def test_every_secret_photo_and_face_has_another_key(cheap_secrets) -> None:
    everything = [
        keys.face(number)
        for keys in (
            secret_keys("a", SALT),
            secret_keys("b", SALT),
            secret_keys("a", new_salt()),
            public_keys(SALT),
        )
        for number in range(3)
    ]
    assert len({*everything, secret_keys("a", SALT).sidecar}) == len(everything) + 1


def test_a_secret_is_the_same_however_its_letters_are_composed(cheap_secrets) -> None:
    one, other = (unicodedata.normalize(form, "Zürich é") for form in ("NFC", "NFD"))
    assert one != other
    assert secret_keys(one, SALT) == secret_keys(other, SALT)


def test_what_the_keys_are_without_a_secret() -> None:
    assert new_keys(card("toy-door"), "", SALT) == public_keys(SALT), "a seed is public"
    assert new_keys(card("toy-tint"), "", SALT) != new_keys(card("toy-tint"), "", SALT)
    with pytest.raises(BadConfig, match="works with a secret"):
        new_keys(card("toy-drawer"), "", SALT)


def test_a_guess_costs_what_the_module_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(
        photo_keys.hashlib, "scrypt", lambda *_, **options: asked.update(options) or bytes(32)
    )
    secret_keys("a", SALT)
    assert 128 * asked["n"] * asked["r"] >= 128 * 2**20, "OWASP's least for scrypt: 128 MiB"
