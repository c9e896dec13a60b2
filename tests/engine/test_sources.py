"""What judges are shown: crops of originals, published and recovered images, of several seeds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.errors import UserError
from anonbench.results.store import load_scores

SIMILARITY = "celebahq-similarity:bootstrap=100:seeds=3"
UTILITY = "utility:bootstrap=100:kernel_images=30"


def value(outcome, name: str, judge: str) -> float | None:
    metrics = {(m.name, m.judge): m.value for m in outcome.result.metrics}
    return metrics[name, judge]


def test_a_method_that_changes_nothing_publishes_the_references(toy_run) -> None:
    judges = ("toy-colours", "toy-photographer")
    (same, other) = toy_run(methods=("identity", "toy-tint"), protocols=(UTILITY,), judges=judges)
    for name in ("shape-l2", "expression-l2"):
        assert value(same, name, "toy-colours") == 0
        assert value(other, name, "toy-colours") > 0
    assert value(same, "landmark-distance", "toy-photographer") == 0
    assert value(same, "detection-rate", "toy-photographer") == 1
    (similar,) = toy_run(methods=("identity",), protocols=(SIMILARITY,))
    assert value(similar, "cosine", "toy-recogniser") == pytest.approx(1, abs=1e-12)


def test_what_was_not_changed_is_recovered_exactly(toy_run) -> None:
    (same,) = toy_run(
        methods=("identity",), protocols=("recovery:bootstrap=100",), judges=("toy-perceptual",)
    )
    assert value(same, "mae", "") == 0
    assert value(same, "ssim", "") == pytest.approx(1, abs=1e-12)
    assert value(same, "lpips", "toy-perceptual") == 0
    assert value(same, "psnr", "") is None
    (lossy,) = toy_run(
        methods=("identity",),
        protocols=("recovery:bootstrap=100",),
        judges=("toy-perceptual",),
        channel="jpeg:50",
    )
    assert 0.005 < value(lossy, "mae", "") < 0.1


def test_what_a_describing_judge_says_is_what_it_was_shown(toy_run) -> None:
    """Against the mean colours of the crops themselves."""
    (outcome,) = toy_run(methods=("toy-tint",), protocols=(UTILITY,), judges=("toy-colours",))
    scores = load_scores(outcome.path)["toy-colours"]
    assert scores["shape-mae"].shape == (36,)
    assert np.allclose(scores["shape-l2"] ** 2, scores["shape-l2-squared"])
    assert np.all(scores["expression-l2"] <= scores["shape-l2"] / np.sqrt(3) + 1e-6)


def test_every_seed_draws_anew_and_none_is_drawn_twice(toy_run, count) -> None:
    (outcome,) = toy_run(methods=("toy-tint",), protocols=(SIMILARITY,))
    assert count()["anonymized"] == 3 * 36
    stage = next(s for s in outcome.result.stages if s.name == "anonymize with toy-tint")
    assert (stage.items, stage.computed) == (3 * 36, 3 * 36)
    toy_run(methods=("toy-tint",), seeds=(1,), protocols=(SIMILARITY,))
    assert count()["anonymized"] == 36  # seeds 1 and 2 are known, 3 is not


def test_a_method_that_draws_nothing_is_run_once(toy_run, count) -> None:
    toy_run(methods=("toy-negative",), protocols=(SIMILARITY,))
    assert count()["anonymized"] == 36


def test_protocols_share_one_pass_over_the_images(toy_run, count) -> None:
    judges = ("toy-recogniser", "toy-colours", "toy-perceptual")
    protocols = ("lfw-tar:far=0.05:bootstrap=100", SIMILARITY, UTILITY, "recovery:bootstrap=100")
    toy_run(methods=("toy-vault",), protocols=protocols, judges=judges)
    counts = count()
    assert counts["anonymized"] == counts["recovered"] == 3 * 36
    # Originals, crops of them, three seeds published and recovered.
    assert counts["embedded"] == 48 + 36 + 2 * 3 * 36
    assert counts["described"] == 2 * 36


def test_judges_without_a_template_see_the_methods_crop(toy_run, count, tmp_path: Path) -> None:
    (same,) = toy_run(protocols=(UTILITY,), judges=("toy-corners",))
    assert count()["seen"] == 2 * 36
    assert same.result.counts["toy-corners"].used == 36


def test_a_judge_that_breaks_its_cards_promise_is_named(toy_run) -> None:
    (outcome,) = toy_run(protocols=(UTILITY,), judges=("toy-miscounted",))
    assert isinstance(outcome.error, UserError)
    assert "toy-miscounted" in str(outcome.error)
    assert "pose" in str(outcome.error)


def test_references_of_pictures_are_the_originals_themselves(toy_run) -> None:
    (same,) = toy_run(
        protocols=(UTILITY,), judges=("toy-photographer", "toy-colours"), presentation="paste"
    )
    assert value(same, "landmark-distance", "toy-photographer") == 0
    assert value(same, "shape-l2", "toy-colours") < 0.01


def test_a_protocol_that_needs_no_images_opens_no_dataset(toy_run, count, monkeypatch) -> None:
    (outcome,) = toy_run(protocols=("complexity:repeats=3:warmups=1",), judges=(), data_root=None)
    assert outcome.result.dataset.name == "none"
    assert outcome.result.dataset.files == 0
    assert count() == {}
    assert outcome.result.stages == ()


def test_an_aligned_datasets_images_are_the_crops(toy_run, tmp_path: Path) -> None:
    """Images of `celeba-hq` go to an FFHQ-aligned method whole, whatever the detector says."""
    folder = tmp_path / "data" / "celeba-hq"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(808):
        size = 64 if index < 12 else 1  # the rest only has to be there
        pixels = rng.integers(30, 255, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:05d}.png")
    seen = []

    def remember(self, faces, keys):
        seen.append(faces)
        return faces

    from toybench import Tint

    original, Tint.anonymize = Tint.anonymize, remember
    try:
        (outcome,) = toy_run(
            methods=("toy-tint",),
            protocols=(UTILITY + ":images=all",),
            judges=("toy-colours",),
            dataset="celeba-hq:split=first808",
            limit=12,
            data_root=tmp_path / "data",
        )
    finally:
        Tint.anonymize = original
    assert outcome.error is None
    crops = (np.concatenate([batch.numpy() for batch in seen]) * 255).round().astype(np.uint8)
    first = np.asarray(Image.open(folder / "00000.png"))
    assert any(np.array_equal(crop.transpose(1, 2, 0), first) for crop in crops)
