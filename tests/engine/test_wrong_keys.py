"""What the engine makes of wrong keys and wrong bits, of a method where it can be worked out."""

from pathlib import Path

import numpy as np
import pytest
from toybench.locked import Xor

from anonbench.engine.channel import Channel
from anonbench.engine.store import Artefact
from anonbench.engine.wrong_keys import recipient_key, wrong_counts, wrong_places
from anonbench.errors import UserError
from anonbench.results.store import load_scores
from anonbench.values import sample_key

IMAGES = 12
KEYS = {
    "methods": ("toy-xor",),
    "protocols": ("key-sensitivity:bootstrap=100",),
    "limit": IMAGES,
}


def metrics(outcome) -> dict:
    assert outcome.error is None, outcome.error
    return {(m.name, m.judge): m for m in outcome.result.metrics}


def scores(outcome) -> dict[str, np.ndarray]:
    assert outcome.error is None, outcome.error
    return load_scores(outcome.path)[""]


def originals(home: Path, ids: list[str]) -> np.ndarray:
    """8-bit crops `[N, S, S, 3]` of originals, as the method was given them."""
    (folder,) = home.glob("store/references/*/*")
    rows = Artefact(folder, warn=pytest.fail).read(ids)
    return np.stack([np.rint(Channel.parse("png").decode(r["image"]) * 255) for r in rows]).astype(
        np.int64
    )


def astray(crops: np.ndarray, byte: int) -> float:
    """Mean change, in [0, 1], of pixels that are combined with a byte."""
    return float(np.abs((crops ^ byte) - crops).mean() / 255)


def test_a_wrong_key_and_wrong_bits_by_hand(toy_run, anonbench_home: Path) -> None:
    """Under a wrong byte a pixel comes out combined with what the right byte differs by."""
    (outcome,) = toy_run(**KEYS)
    told = scores(outcome)
    ids = told["image"].tolist()
    crops = originals(anonbench_home, ids)
    assert told["flip_counts"].tolist() == [1, 2, 4, 8]
    assert len(ids) == IMAGES
    for place, name in enumerate(ids):
        key = sample_key(0, name)
        byte = key[0] ^ recipient_key(0, name, wrong=1)[0]
        assert told["absolute"][place] == pytest.approx(astray(crops[place], byte), abs=1e-6)
        for column, count in enumerate((1, 2, 4, 8)):
            bits = np.flatnonzero(wrong_places(key, 8, count))
            assert len(bits) == count
            wrong = sum(1 << int(bit) for bit in bits)
            expected = astray(crops[place], wrong)
            assert told["flips"][place, column] == pytest.approx(expected, abs=1e-6)
            if count == 1:
                assert expected == pytest.approx(wrong / 255)
    found = metrics(outcome)
    assert found["flip-1-mae", ""].value == pytest.approx(told["flips"][:, 0].mean())
    assert found["wrong-key-mae", ""].value == pytest.approx(told["absolute"].mean())
    cosine = found["wrong-key-cosine", "toy-recogniser"]
    assert cosine.detail["right key"] == pytest.approx(1, abs=1e-6)
    assert cosine.value < 0.9 and found["wrong-keys-apart", "toy-recogniser"].value < 0.99


def test_a_method_that_needs_a_latent_is_given_it_under_wrong_keys(toy_run) -> None:
    """Its published images are grey: what comes back does not come from them."""
    xor, safe = toy_run(**{**KEYS, "methods": ("toy-xor", "toy-safe")}, channel="jpeg:5")
    clean = toy_run(**KEYS)[0]
    for name in ("absolute", "flips"):
        np.testing.assert_allclose(scores(safe)[name], scores(clean)[name], atol=1e-6)
        assert np.abs(scores(xor)[name] - scores(clean)[name]).max() > 0.001


def test_a_wrong_key_that_happens_to_be_right_is_counted(toy_run, monkeypatch) -> None:
    """As with a password of 16 bits, once in 65,536 images."""
    recover = Xor.recover
    lucky = [recipient_key(0, f"p{person:02d}/1.png", wrong=1) for person in range(4)]
    right = {key: sample_key(0, f"p{person:02d}/1.png") for person, key in enumerate(lucky)}
    monkeypatch.setattr(
        Xor, "recover", lambda self, x, keys: recover(self, x, [right.get(k, k) for k in keys])
    )
    (outcome,) = toy_run(**KEYS)
    named = set(scores(outcome)["image"].tolist()) & {f"p{p:02d}/1.png" for p in range(4)}
    same = metrics(outcome)["wrong-key-same", ""]
    assert named and same.detail["identical images"] == len(named)
    assert same.value == pytest.approx(100 * len(named) / IMAGES)


def test_everything_is_computed_once_and_shared_with_recovery(toy_run, count, tmp_path) -> None:
    toy_run(**KEYS)
    assert count() == {
        "anonymized": IMAGES,
        "detected": 5 * IMAGES,
        "embedded": 4 * IMAGES,
        "recovered": 4 * IMAGES,
        "misled": 4 * IMAGES,
    }
    toy_run(**KEYS, output=tmp_path / "other")
    assert count() == {}
    toy_run(**{**KEYS, "protocols": ("recovery:bootstrap=100",)})
    assert count() == {}


def test_under_paste_wrong_recoveries_are_pictures_too(toy_run) -> None:
    (outcome,) = toy_run(**KEYS, presentation="paste")
    assert (scores(outcome)["absolute"] > 0.01).all()
    assert outcome.result.setup.recovery == "realigned"


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("blackout", "not reversible, its key is no secret"),
        ("toy-tint", "not reversible, its key is no secret"),
        ("toy-negative", "its key is no secret"),
    ],
)
def test_methods_without_a_password_get_a_reason_and_compute_nothing(
    toy_run, count, method, reason
) -> None:
    (outcome,) = toy_run(**{**KEYS, "methods": (method,)})
    assert {metric.reason for metric in outcome.result.metrics} == {reason}
    assert len(outcome.result.metrics) == 5
    assert count() == {}


def test_a_password_without_bits_is_measured_by_whole_keys(toy_run) -> None:
    found = metrics(*toy_run(**{**KEYS, "methods": ("toy-vault",)}))
    assert found["flip-1-mae", ""].reason == "does not say which bits its password has"
    assert found["wrong-key-mae", ""].value > 0.1


def test_a_class_without_wrong_bits_is_named(toy_run, monkeypatch) -> None:
    monkeypatch.delattr(Xor, "recover_with_wrong_bits")
    (outcome,) = toy_run(**KEYS)
    assert isinstance(outcome.error, UserError)
    assert "has password bits, but it has no recover_with_wrong_bits" in str(outcome.error)


def test_counts_double_up_to_all_bits() -> None:
    assert [wrong_counts(bits) for bits in (1, 2, 3, 10)] == [
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, 2, 4, 8, 10),
    ]
    assert wrong_counts(16) == (1, 2, 4, 8, 16)
    assert wrong_counts(512) == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


def test_wrong_bits_stand_anywhere_and_grow_by_others() -> None:
    keys = [sample_key(0, str(number)) for number in range(400)]
    one = np.array([wrong_places(key, 16, 1) for key in keys])
    assert (one.sum(1) == 1).all()
    # 400 draws of 16 places, 25 each: chi-squared of 15 degrees stays below 37.7 in 99.9 %.
    assert ((one.sum(0) - 25) ** 2 / 25).sum() < 37.7
    for key in keys[:20]:
        two, all_of = wrong_places(key, 16, 2), wrong_places(key, 16, 16)
        assert (wrong_places(key, 16, 1) <= two).all() and two.sum() == 2
        assert all_of.all()


def test_wrong_keys_are_other_keys_for_each_image_and_number() -> None:
    keys = {recipient_key(seed, i, n) for seed in (0, 1) for i in "ab" for n in (0, 1, 2)}
    assert len(keys) == 12
    assert recipient_key(3, "a") == sample_key(3, "a")
