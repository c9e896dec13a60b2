"""What a method keeps of each image to recover it: stored beside it, and given to it again."""

import json
from pathlib import Path

import numpy as np
import pytest
from toybench.locked import Safe

from anonbench.cards import MethodCard
from anonbench.engine.faces import join_items
from anonbench.engine.store import Artefact
from anonbench.errors import UserError

IMAGES = 12
RECOVERY = {
    "methods": ("toy-safe",),
    "protocols": ("recovery:bootstrap=100",),
    "judges": ("toy-perceptual",),
    "limit": IMAGES,
}
SIZE = 3 * 64 * 64 * 4


def mae(outcome) -> float:
    assert outcome.error is None, outcome.error
    return next(m.value for m in outcome.result.metrics if m.name == "mae")


def artefacts(home: Path, stage: str) -> list[Artefact]:
    return [Artefact(folder, warn=pytest.fail) for folder in home.glob(f"store/{stage}/*/*")]


@pytest.mark.parametrize("channel", ["jpeg:5+resize:0.1", "float"])
def test_the_stored_latent_recovers_whatever_became_of_the_image(toy_run, channel) -> None:
    """The published image is grey: nothing of the original could come back from it."""
    (outcome,) = toy_run(**RECOVERY, channel=channel)
    assert mae(outcome) == 0
    counts = outcome.result.counts[""].detail
    assert counts["images recovered from a stored latent"] == IMAGES
    assert counts["bytes of latent kept per image"] == SIZE
    assert outcome.result.method.needs_latent


def test_a_latent_is_kept_once_and_not_computed_again(toy_run, count, tmp_path) -> None:
    toy_run(**RECOVERY)
    what = ("anonymized", "recovered", "detected", "compared")
    assert count() == dict.fromkeys(what, IMAGES)
    toy_run(**RECOVERY, output=tmp_path / "other")
    assert count() == {}


def test_latents_are_float32_and_read_only_where_they_are_needed(
    toy_run, anonbench_home: Path, monkeypatch
) -> None:
    toy_run(**RECOVERY)
    (published,) = artefacts(anonbench_home, "published")
    row = next(published.read(["p00/1.png"]))
    assert (row["latent"].shape, row["latent"].dtype) == ((3, 64, 64), np.float32)
    read = []
    whole = Artefact.read
    monkeypatch.setattr(
        Artefact, "read", lambda self, ids, only="": read.append(only) or whole(self, ids, only)
    )
    (item,) = join_items(["p00/1.png"], published, None)
    assert item.latent is None and item.data == row["image"]
    assert read == ["image"]
    (item,) = join_items(["p00/1.png"], published, None, published)
    np.testing.assert_array_equal(item.latent, row["latent"])


def test_under_paste_the_recovered_crop_is_put_where_the_face_is_found(toy_run) -> None:
    (paste,) = toy_run(**RECOVERY, presentation="paste")
    assert 0 < mae(paste) < 0.05
    assert paste.result.setup.recovery == "realigned"


def test_keys_of_other_methods_know_nothing_of_latents(toy_run, anonbench_home: Path) -> None:
    toy_run(**{**RECOVERY, "methods": ("toy-xor", "toy-safe")})
    keys = [json.loads(p.read_text()) for p in anonbench_home.glob("store/published/*/*/key.json")]
    said = {key["method"]["name"]: key.pop("latent", None) for key in keys}
    assert said == {"toy-xor": None, "toy-safe": True}


def test_from_the_image_alone_nothing_comes_back(toy_run, monkeypatch) -> None:
    monkeypatch.setattr(Safe, "recover_from_latent", lambda self, x, keys: self.recover(x, keys))
    (outcome,) = toy_run(**RECOVERY)
    assert mae(outcome) > 0.1


@pytest.mark.parametrize(
    ("latent", "told"),
    [
        ("too few", f"for {IMAGES} crops"),
        ("not finite", "that are not finite"),
        ("double", f"of torch.float64 for {IMAGES} crops"),
    ],
)
def test_a_wrong_latent_is_named(toy_run, latent, told) -> None:
    (outcome,) = toy_run(**{**RECOVERY, "methods": (f"toy-safe:latent={latent}",)})
    assert isinstance(outcome.error, UserError)
    assert "'toy-safe' returned latents" in str(outcome.error)
    assert told in str(outcome.error)
    assert "anonbench test-method toy-safe" in str(outcome.error)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"needs_latent": True}, "needs_latent is for methods with reversible"),
        ({"needs_latent": True, "reversible": True, "remarks": {"a": "b"}}, "cannot make remarks"),
        ({"password_bits": 8, "reversible": True, "key": "seed"}, "key = 'password'"),
        ({"password_bits": 8, "key": "password"}, "reversible = true"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(fields, told) -> None:
    plain = {"name": "x", "title": "x", "summary": "x", "licence": "x", "family": "x"}
    with pytest.raises(ValueError, match=told):
        MethodCard(**plain, paper="x", **fields)
