"""What a method says about each image: stored with it, checked, and summed up in the result."""

import json
from pathlib import Path

import numpy as np
import pytest
from toybench.reversible import Vault

PASSWORD = {"protocols": ("password:bootstrap=100",), "judges": ()}


@pytest.fixture
def brightness(monkeypatch) -> list[float]:
    """The mean of every crop that a vault anonymized."""
    seen: list[float] = []
    anonymize = Vault.anonymize

    def spy(self, faces, keys):
        seen.extend(faces.mean((1, 2, 3)).tolist())
        return anonymize(self, faces, keys)

    monkeypatch.setattr(Vault, "anonymize", spy)
    return seen


def remarks(outcome) -> dict:
    assert outcome.error is None, outcome.error
    return {remark.name: remark for remark in outcome.result.remarks}


def test_remarks_are_summed_up_over_all_published_images(toy_run, brightness) -> None:
    (outcome,) = toy_run(methods=("toy-rounder",), **PASSWORD)
    found, values = remarks(outcome), np.array(brightness)
    assert list(found) == ["brightness", "bright"]
    one = found["brightness"]
    assert one.images == len(values) == 36
    assert one.says == "mean of the crop, 0 to 1"
    assert (one.min, one.max) == (values.min(), values.max())
    assert one.mean == pytest.approx(values.mean())
    # 36 images: the 2.5th percentile lies between the first and the second.
    first, second = np.sort(values)[:2]
    assert one.low == pytest.approx(first + 0.025 * 35 * (second - first))
    last, before = np.sort(values)[:-3:-1]
    assert one.high == pytest.approx(last - 0.025 * 35 * (last - before))
    bright = found["bright"]
    assert 0 < bright.mean < 1
    assert bright.mean == pytest.approx((values > 0.5).mean())
    assert str(bright) == (
        f"bright {bright.mean:.1%} of 36 images (1 where that is more than a half)"
    )
    assert f"on average of 36 images, 95 % of them from {one.low:.4g} to {one.high:.4g} (" in str(
        one
    )


def test_remarks_come_back_from_the_store(toy_run, count, tmp_path) -> None:
    first = toy_run(methods=("toy-rounder",), **PASSWORD)
    count()
    (again,) = toy_run(methods=("toy-rounder",), output=tmp_path / "other", **PASSWORD)
    assert count() == {}
    assert remarks(again) == remarks(first[0]) != {}


def test_only_images_of_the_runs_own_seed_count(toy_run, brightness) -> None:
    """`diversity` publishes four faces with three seeds."""
    settings = "faces=4:identities=3:perplexity=2:bootstrap=100"
    (outcome,) = toy_run(methods=("toy-rounder",), protocols=(f"diversity:{settings}",))
    assert len(brightness) == 12
    assert {remark.images for remark in remarks(outcome).values()} == {4}


def test_an_image_that_failed_has_no_remark(toy_run, people: Path) -> None:
    (people / "p03" / "1.png").write_bytes(b"")
    (outcome,) = toy_run(methods=("toy-rounder",), **PASSWORD)
    assert {remark.images for remark in outcome.result.remarks} == {35}


def test_a_method_that_says_nothing_keeps_the_keys_of_its_images(
    toy_run, anonbench_home: Path
) -> None:
    outcomes = toy_run(methods=("toy-vault", "toy-rounder"), **PASSWORD)
    assert [bool(outcome.result.remarks) for outcome in outcomes] == [False, True]
    keys = [json.loads(p.read_text()) for p in anonbench_home.glob("store/published/*/*/key.json")]
    said = {key["method"]["name"]: key.pop("remarks", None) for key in keys}
    assert said == {"toy-vault": None, "toy-rounder": ["brightness", "bright"]}
    usual = ["format", "stage", "faces", "method", "template", "seed", "channel", "presentation"]
    assert [sorted(key) for key in keys] == [sorted([*usual, "hidden"])] * 2


@pytest.mark.parametrize(
    ("breach", "told"),
    [
        ("unlisted", "remarked 'brightness', 'bright', 'colour' about 32 crops"),
        ("one for all", r"Not one finite number per crop: 'brightness' \(\)\."),
        ("not finite", r"Not one finite number per crop: 'brightness' inf\."),
    ],
)
def test_a_wrong_remark_is_named(toy_run, breach, told) -> None:
    (outcome,) = toy_run(methods=(f"toy-rounder:remarks={breach}",), **PASSWORD)
    with pytest.raises(type(outcome.error), match=told) as caught:
        raise outcome.error
    assert "The method 'toy-rounder' remarked" in str(caught.value)
    assert "its card lists 'brightness', 'bright'" in str(caught.value)
    assert "anonbench test-method toy-rounder" in str(caught.value)
