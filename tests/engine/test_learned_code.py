"""Hidden bits that stand for numbers by a code of the method's own: read, decoded, measured."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toybench.reversible import Rounder

from anonbench.errors import UserError

PASSWORD = {"protocols": ("password:bootstrap=100",), "judges": ()}
ALONE = "of the code, no bit wrong"


@pytest.fixture
def hidden(monkeypatch) -> list[list[float]]:
    """The numbers of every crop whose bits a rounder was asked for."""
    seen: list[list[float]] = []
    bits = Rounder.hidden_bits

    def spy(self, faces):
        seen.extend(self.hidden_numbers(faces).double().tolist())
        return bits(self, faces)

    monkeypatch.setattr(Rounder, "hidden_bits", spy)
    return seen


def measured(outcome) -> dict:
    assert outcome.error is None, outcome.error
    return {metric.name: metric for metric in outcome.result.metrics}


def decoded(numbers: np.ndarray) -> np.ndarray:
    """The middle of the sixteenth in which each number lies."""
    return np.floor(numbers * 16) / 16 + 1 / 32


def test_without_a_wrong_bit_the_error_is_the_codes_own(toy_run, hidden) -> None:
    (outcome,) = toy_run(methods=("toy-rounder",), **PASSWORD)
    found, numbers = measured(outcome), np.array(hidden)
    assert numbers.shape == (36, 2)
    assert found["bit-error-rate"].value == 0
    assert found["exact-recovery-rate"].value == 1
    own = np.square(decoded(numbers) - numbers).mean()
    assert 0 < own < (1 / 32) ** 2
    for name in ("float-mse", "float-mse-raw", "float-mse-projected"):
        assert found[name].value == pytest.approx(own, rel=1e-4)
        assert found[name].detail[ALONE] == found[name].value
    cosine = found["identity-cosine"]
    assert 0.99 < cosine.value == cosine.detail[ALONE] < 1
    assert not any(" bit " in name for name in found["bit-error-rate"].detail)


def test_a_wrong_bit_costs_what_the_code_makes_of_it(toy_run, hidden) -> None:
    """The first bit of each red is read wrong: half of the range."""
    (outcome,) = toy_run(methods=("toy-rounder:flip=0",), **PASSWORD)
    found, numbers = measured(outcome), np.array(hidden)
    read = decoded(numbers)
    own = np.square(read - numbers).mean()
    read[:, 0] += np.where(numbers[:, 0] < 0.5, 0.5, -0.5)
    assert found["bit-error-rate"].value == 1 / 8
    error = found["float-mse-raw"]
    assert error.value == pytest.approx(np.square(read - numbers).mean(), rel=1e-4)
    assert error.value > 0.1
    assert error.detail[ALONE] == pytest.approx(own, rel=1e-4)


def test_decoded_numbers_are_stored_with_the_bits(toy_run, count, tmp_path) -> None:
    toy_run(methods=("toy-rounder",), **PASSWORD)
    assert count()["decoded"] == 2 * 36
    toy_run(methods=("toy-rounder",), output=tmp_path / "other", **PASSWORD)
    assert count() == {}


def test_failed_images_have_no_numbers(toy_run, people: Path, hidden) -> None:
    (people / "p03" / "1.png").write_bytes(b"")
    (outcome,) = toy_run(methods=("toy-rounder",), **PASSWORD)
    numbers = np.array(hidden)
    error = measured(outcome)["float-mse"]
    assert error.n == len(numbers) == 35
    assert error.value == pytest.approx(np.square(decoded(numbers) - numbers).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "returned", "told"),
    [
        ("decode_bits", torch.zeros(32, 3), r"'numbers': \(32, 2\), 'decoded': \(32, 3\)"),
        ("hidden_numbers", torch.zeros(32), r"'numbers': \(32,\)"),
        ("hidden_numbers", torch.full((32, 2), torch.nan), "numbers that are not finite"),
    ],
)
def test_numbers_that_cannot_be_are_named(toy_run, monkeypatch, name, returned, told) -> None:
    monkeypatch.setattr(Rounder, "_bits", lambda self, faces: torch.zeros(len(faces), 8).bool())
    monkeypatch.setattr(Rounder, name, lambda self, given: returned)
    (outcome,) = toy_run(methods=("toy-rounder",), **PASSWORD)
    with pytest.raises(UserError, match=told) as caught:
        raise outcome.error
    assert "The method 'toy-rounder'" in str(caught.value)
    assert "anonbench test-method toy-rounder" in str(caught.value)


def test_numbers_read_that_are_none_are_counted(toy_run, monkeypatch) -> None:
    """A code may make anything of bits that nobody embedded."""
    decode = Rounder.decode_bits

    def overflow(self, bits):
        return torch.where(bits[:, 3:4], torch.inf, decode(self, bits))

    monkeypatch.setattr(Rounder, "_bits", lambda self, faces: torch.zeros(len(faces), 8).bool())
    monkeypatch.setattr(Rounder, "decode_bits", overflow)
    (outcome,) = toy_run(methods=("toy-rounder:flip=3",), **PASSWORD)
    raw = measured(outcome)["float-mse-raw"]
    assert raw.reason == "not finite in 36 of 36 images: 0 floats read are NaN, 72 infinite"
    assert raw.detail[ALONE] > 0
    assert measured(outcome)["float-mse"].value > 0
