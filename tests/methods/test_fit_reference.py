"""FIT's reference batch: which images it is, and what its statistics do."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from fit_world import SIDE, small_generator
from PIL import Image

from anonbench import registry
from anonbench.data.align import template
from anonbench.data.images import read_image
from anonbench.data.lfw import Lfw
from anonbench.errors import BadData
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench_fit import reference
from anonbench_fit.method import Fit
from anonbench_fit.networks import password_code
from anonbench_fit.passwords import drawn_bits

KEYS = [sample_key(0, name) for name in "abc"]


@torch.no_grad()
def test_the_reference_batch_itself_comes_out_as_with_the_authors() -> None:
    generator, code = small_generator().eval(), password_code(drawn_bits(KEYS))
    images = synthetic_faces(3, SIDE) * 2 - 1
    fixed, output = reference.normalised_by(generator, images, code)
    authors = generator(images, code)
    torch.testing.assert_close(output, authors, rtol=0, atol=1e-5)
    torch.testing.assert_close(fixed(images, code), authors, rtol=0, atol=1e-5)
    torch.testing.assert_close(fixed(images[:1], code[:1]), authors[:1], rtol=0, atol=1e-4)
    others = synthetic_faces(3, SIDE, seed=5) * 2 - 1
    assert (fixed(others, code) - generator(others, code)).abs().max() > 1e-2


def write_lfw(root: Path, people: int) -> Lfw:
    """People with two images each; pairs name the first two people."""
    for number in range(people):
        name = f"P{number:03d}"
        (root / name).mkdir(parents=True)
        for image in (1, 2):
            pixels = np.full((250, 250, 3), number, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{name}_{image:04d}.jpg")
    (root / "pairs.txt").write_text("1\t1\nP000\t1\t2\nP000\t1\tP001\t1\n")
    return Lfw(registry.datasets.card("lfw"), root)


def test_the_reference_batch_is_people_outside_the_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = reference.reference_ids(write_lfw(tmp_path, 50))
    assert ids == [f"P{n:03d}/P{n:03d}_0001.jpg" for n in range(2, 50, 4)]
    monkeypatch.setattr("anonbench.weights.path", lambda name: {"lfw": tmp_path}[name])
    batch = reference.reference_faces(64)
    assert batch.shape == (12, 3, 64, 64)
    shades = torch.tensor([float(n) for n in range(2, 50, 4)]) / 255
    torch.testing.assert_close(batch.mean(dim=(1, 2, 3)), shades, rtol=0, atol=1.5 / 255)


def test_frames_of_lfw_are_the_reference_batch(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lfw = shared / "data/lfw"
    monkeypatch.setattr("anonbench.weights.path", lambda name: {"lfw": lfw}[name])
    ids = reference.reference_ids(Lfw(registry.datasets.card("lfw"), lfw))
    people = [one.split("/")[0] for one in ids]
    assert len(set(people)) == 12
    assert not set(people) & set(re.split(r"\s", (lfw / "pairs.txt").read_text()))
    assert people == sorted(people) and people[0] < "B" and people[-1] > "S"
    frames = np.stack([read_image(lfw / "lfw-deepfunneled" / one) for one in ids])
    whole = torch.from_numpy(frames).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(reference.reference_faces(250), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("checkpoint", ["half", "half-256"])
def test_runs_at_full_size_with_frames_of_lfw(
    shared: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: str
) -> None:
    """A narrow generator, since nothing here depends on its width."""
    monkeypatch.setattr("anonbench.weights.path", lambda name: {"lfw": shared / "data/lfw"}[name])
    monkeypatch.setattr(
        "anonbench_fit.checkpoints.load_generator", lambda scheme: small_generator().eval()
    )
    method = Fit(registry.methods.parse(f"fit:checkpoint={checkpoint}"), "cpu")
    side = template(method.card.template).size
    assert side == {"half": 128, "half-256": 256}[checkpoint]
    frames = reference.reference_faces(side)[:3]
    anonymized = method.anonymize(frames, KEYS)
    assert anonymized.shape == (3, 3, side, side)
    recovered = method.recover((anonymized * 255).round() / 255, KEYS)
    assert torch.equal(method.recover((anonymized * 255).round() / 255, KEYS), recovered)
    with pytest.raises(BadData, match=f"{side} x {side} pixels, not 3 x 64 x 64"):
        method.anonymize(synthetic_faces(3, 64), KEYS)
