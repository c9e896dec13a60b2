"""What the engine does with published images: recover them, read the bits hidden in them."""

from pathlib import Path

import numpy as np
import pytest
from toybench.reversible import Boaster, Vault

from anonbench import registry
from anonbench.data.align import template
from anonbench.data.images import encode_png
from anonbench.engine import models
from anonbench.engine.channel import Channel
from anonbench.engine.faces import Item, Published
from anonbench.engine.recipient import Recipient, Recover
from anonbench.engine.store import Artefact
from anonbench.errors import BadConfig, UserError
from anonbench.results.store import load_scores
from anonbench.values import Face, sample_key

ALL = ("lfw-tar:far=0.05:bootstrap=100", "recovery:bootstrap=100", "password:bootstrap=100")
IDS = [f"p{person:02d}/{number}.png" for person in range(12) for number in range(4)]
JUDGES = ("toy-recogniser", "toy-perceptual")


def metrics(outcome) -> dict:
    assert outcome.error is None, outcome.error
    return {(m.name, m.judge): m for m in outcome.result.metrics}


def value(outcome, name: str, judge: str = "") -> float:
    return metrics(outcome)[name, judge].value


def tar(outcome, name: str = "tar") -> float:
    return value(outcome, name, "toy-recogniser")


def stored(home: Path, stage: str) -> dict[str, bytes]:
    """The images of all artefacts of a stage, by sample."""
    found = {}
    for folder in (home / "store" / stage).glob("*/*"):
        artefact = Artefact(folder, warn=print)
        missing = set(artefact.missing(IDS))
        found |= {row.id: row["image"] for row in artefact.read(i for i in IDS if i not in missing)}
    return found


@pytest.fixture
def given(monkeypatch) -> list[tuple[bytes, np.ndarray]]:
    """Every key and image that the vault was asked to recover."""
    seen: list[tuple[bytes, np.ndarray]] = []
    recover = Vault.recover

    def spy(self, published, keys):
        seen.extend(zip(keys, published.permute(0, 2, 3, 1).numpy().copy(), strict=True))
        return recover(self, published, keys)

    monkeypatch.setattr(Vault, "recover", spy)
    return seen


@pytest.mark.parametrize("channel", ["png", "jpeg:60", "float"])
def test_recover_is_given_published_pixels_and_keys(
    toy_run, given, anonbench_home: Path, channel
) -> None:
    toy_run(methods=("toy-vault",), channel=channel)
    published = stored(anonbench_home, "published")
    assert len(given) == len(published) == 36
    by_key = dict(given)
    for sample_id, data in published.items():
        seen = by_key[sample_key(0, sample_id)]
        np.testing.assert_array_equal(seen, Channel.parse(channel).decode(data))


def test_recovered_images_are_kept_without_loss(toy_run, anonbench_home: Path) -> None:
    toy_run(methods=("toy-negative",), channel="jpeg:60")
    published, recovered = (stored(anonbench_home, s) for s in ("published", "recovered"))
    jpeg, png = Channel.parse("jpeg:60"), Channel.parse("png")
    assert published.keys() == recovered.keys()
    for sample_id, data in published.items():
        again = png.decode(recovered[sample_id])
        np.testing.assert_allclose(again, 1 - jpeg.decode(data), atol=1e-6)


def test_float_images_are_recovered_as_floats(toy_run, anonbench_home: Path) -> None:
    toy_run(methods=("toy-negative",), channel="float")
    raw = Channel.parse("float")
    for data in stored(anonbench_home, "recovered").values():
        assert raw.decode(data).dtype == np.float32


def test_a_reversible_method_is_measured_both_ways(toy_run) -> None:
    vault, blackout = toy_run(methods=("toy-vault", "blackout"))
    assert tar(vault) < 0.5
    assert tar(vault, "tar_recovered") == 1
    assert metrics(vault)["tar_recovered", "toy-recogniser"].direction == "higher"
    cell = metrics(blackout)["tar_recovered", "toy-recogniser"]
    assert (cell.value, cell.reason) == (None, "not reversible")
    assert blackout.result.status == "complete"


def test_the_wrong_key_recovers_nothing(toy_run, monkeypatch) -> None:
    recover = Vault.recover
    monkeypatch.setattr(Vault, "recover", lambda self, x, keys: recover(self, x, keys[::-1]))
    (vault,) = toy_run(methods=("toy-vault",))
    assert tar(vault, "tar_recovered") < 0.5


def test_protocols_share_what_was_computed_and_a_second_run_computes_nothing(
    toy_run, count, tmp_path
) -> None:
    toy_run(methods=("toy-vault",))
    assert count() == {
        "anonymized": 36,
        "detected": 48 + 2 * 36,
        "embedded": 48 + 2 * 36,
        "hidden": 36,
        "recovered": 36,
    }
    toy_run(methods=("toy-vault",), protocols=ALL, judges=JUDGES)
    references = {"detected": 36, "embedded": 36}
    assert count() == {"compared": 36, "read": 36, **references}
    toy_run(methods=("toy-vault",), protocols=ALL, judges=JUDGES, output=tmp_path / "other")
    assert count() == {}


def test_no_face_is_looked_for_where_nobody_asks(toy_run, count) -> None:
    toy_run(methods=("toy-vault",), protocols=ALL[1:], judges=("toy-perceptual",))
    assert count()["detected"] == 36


def test_the_channel_decides_what_comes_back(toy_run) -> None:
    options = {"methods": ("toy-vault",), "protocols": ALL[1:], "judges": ("toy-perceptual",)}
    recovery, password = toy_run(**options)
    worse, unread = toy_run(**options, channel="jpeg:75")
    assert value(recovery, "mae") < 0.001 < 0.1 < value(worse, "mae")
    assert value(password, "bit-error-rate") == 0
    assert 0.3 < value(unread, "bit-error-rate") < 0.7


def test_other_seeds_publish_anew(toy_run, count) -> None:
    options = {"methods": ("toy-vault",), "protocols": ALL[2:], "judges": ()}
    toy_run(**options)
    count()
    (other,) = toy_run(**options, seeds=(1,))
    assert count() == {"anonymized": 36, "hidden": 36, "read": 36}
    assert not any("recover" in stage.name for stage in other.result.stages)


def test_a_method_without_the_ability_gets_a_reason_and_computes_nothing(toy_run, count) -> None:
    recovery, password = toy_run(methods=("blackout",), protocols=ALL[1:], judges=JUDGES)
    assert {m.reason for m in recovery.result.metrics} == {"not reversible"}
    assert set(metrics(recovery)) == {
        ("mae", ""),
        ("psnr", ""),
        ("ssim", ""),
        ("lpips", "toy-perceptual"),
        ("cosine-recovered", "toy-recogniser"),
    }
    assert {m.reason for m in password.result.metrics} == {"hides no bits"}
    assert count() == {}


def none(self, crops):
    return crops.new_zeros(len(crops), self.card.hidden_bits)


@pytest.mark.parametrize("lacking", ["hidden_bits", "recover"])
def test_a_promise_that_is_not_kept_is_named(toy_run, monkeypatch, lacking) -> None:
    if lacking == "recover":
        for name in ("hidden_bits", "extract_bits"):
            monkeypatch.setattr(Boaster, name, none, raising=False)
    (outcome,) = toy_run(methods=("toy-boaster",), protocols=ALL[1:2], judges=JUDGES)
    assert isinstance(outcome.error, UserError)
    assert f"it has no {lacking}" in str(outcome.error)
    assert "test-method toy-boaster" in str(outcome.error)


def test_pasted_pictures_are_recovered_in_the_picture(toy_run) -> None:
    crop, paste = (
        toy_run(
            methods=("toy-negative",),
            protocols=ALL[:2],
            judges=JUDGES,
            presentation=presentation,
        )
        for presentation in ("crop", "paste")
    )
    assert tar(paste[0]) < 0.5
    assert tar(paste[0], "tar_recovered") == 1
    assert value(paste[1], "mae") < 0.05
    assert value(crop[1], "mae") == pytest.approx(0, abs=1e-6)
    assert [o.result.setup.recovery for o in (*crop, *paste)] == ["crop"] * 2 + ["realigned"] * 2
    (identity,) = toy_run()
    assert identity.result.setup.recovery == ""


@pytest.mark.parametrize("found", [True, False])
def test_a_picture_is_aligned_by_what_is_found_in_it_and_by_nothing_of_the_original(
    given, found
) -> None:
    """Where no face was found, the item carries the original's, which must not be used."""
    picture = np.random.default_rng(0).integers(0, 256, (96, 120, 3)).astype(np.uint8)
    detector = registry.judges.card("toy-detector")
    method, dataset = registry.methods.card("toy-vault"), registry.datasets.card("orl")
    stage = Recover(
        "recover",
        {},
        Published("png"),
        recipient=Recipient(method, "paste", dataset, detector, "cpu"),
        seed=0,
    )
    elsewhere = models.detector(detector).landmarks(picture, np.array([50.0, 40, 100, 90]))
    stage.infer([stage.prepare(Item("a", encode_png(picture), elsewhere, found=found))])
    box = np.array(dataset.fallback_box) * (120, 96, 120, 96)
    usual = models.detector(detector).landmarks(picture, box)
    face: Face = elsewhere if found else usual
    ((_, seen),) = given
    expected = template(method.template).crop(picture, face)
    np.testing.assert_array_equal(np.rint(seen * 255), expected)


def test_an_image_that_failed_is_counted_once_with_its_reason(toy_run, people: Path) -> None:
    (people / "p03" / "1.png").write_bytes(b"")
    outcomes = toy_run(methods=("toy-vault",), protocols=ALL, judges=JUDGES)
    pairs, recovery, password = (outcome.result for outcome in outcomes)
    assert {r.status for r in (pairs, recovery, password)} == {"partial"}
    for counts in (*recovery.counts.values(), *password.counts.values()):
        assert (counts.expected, counts.used, len(counts.failed)) == (36, 35, 1)
        assert "p03/1.png" in next(iter(counts.failed))
    for counts in pairs.counts.values():
        assert counts.used + sum(counts.failed.values()) == counts.expected
        assert not any(reason.startswith("recovered") for reason in counts.failed)


def test_judges_are_given_to_the_protocols_that_take_their_kind(toy_run) -> None:
    pairs, recovery, password = toy_run(methods=("toy-vault",), protocols=ALL, judges=JUDGES)
    assert [judge.name for judge in pairs.result.judges] == ["toy-recogniser"]
    assert [judge.name for judge in recovery.result.judges] == list(JUDGES)
    assert {m.judge: m.name for m in recovery.result.metrics if m.judge} == {
        "toy-recogniser": "cosine-recovered",
        "toy-perceptual": "lpips",
    }
    assert password.result.judges == ()
    assert set(load_scores(password.path)) == {""}
    with pytest.raises(BadConfig, match=r"toy-recogniser.*recognition"):
        toy_run(methods=("toy-vault",), protocols=ALL[2:])
