"""FALCO as a method: its promises with narrow networks, its crops, its sizes, missing weights."""

from pathlib import Path

import pytest
import torch
from falco_world import small_networks
from network_facts import gigamacs, millions
from torch import Tensor

from anonbench import registry
from anonbench.data.align import template
from anonbench.errors import BadConfig, BadData, MissingArtefact
from anonbench.testing import check_method, failures
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench_falco.method import Falco, published

KEYS = [sample_key(0, name) for name in "ab"]
SMALL = ":pool=6:steps=2"


@pytest.fixture
def world(anonbench_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow networks in the trained ones' place, and an empty cache."""
    monkeypatch.setattr("anonbench_falco.method.load_networks", small_networks)


def build(settings: str = "") -> Falco:
    return Falco(registry.methods.parse(f"falco{settings}"), "cpu")


def test_it_keeps_the_promises_of_the_suite(world: None) -> None:
    assert failures(check_method(f"falco{SMALL}", size=48)) == []


def test_it_starts_from_the_nearest_fake_and_keeps_the_rest_of_the_inverted_code(
    world: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def note(step: object, codes: Tensor, *others: object) -> Tensor:
        seen.append(codes.clone())
        return codes

    monkeypatch.setattr("anonbench_falco.method.optimise", note)
    method, networks = build(SMALL), small_networks()
    faces = synthetic_faces(2, 48)
    _, said = method.anonymize_with_remarks(faces, KEYS)
    to_256 = torch.nn.functional.interpolate(faces, 256, mode="bilinear", antialias=True)
    inverted = networks.inverter(to_256)
    for row, codes in enumerate(seen):
        kept = [0, 1, 2, 8, 9]
        torch.testing.assert_close(codes[0, kept], inverted[row, kept], rtol=1e-4, atol=1e-4)
        assert (codes[0, 3:8] == method._pool.styles[:, None]).all(dim=2).all(dim=1).any()
    assert (said["neighbour_cosine"] <= 1).all()


def test_the_remarks_are_those_of_what_is_published(world: None) -> None:
    close, far = (
        build(f"{SMALL.replace('=2', '=25')}:margin={margin}").anonymize_with_remarks(
            synthetic_faces(1, 48), KEYS[:1]
        )
        for margin in (0.9, 0.0)
    )
    assert (close[1]["identity_cosine"] > 0.7).all()
    assert (far[1]["identity_cosine"].abs() < 0.1).all()
    assert (close[0] - far[0]).abs().mean() > 0.001


@pytest.mark.parametrize("checkpoint", ["ffhq-256", "ffhq-1024"])
def test_a_checkpoint_is_a_size_of_the_crop(checkpoint: str) -> None:
    card = registry.methods.parse(f"falco:checkpoint={checkpoint}")
    assert template(card.template).size == int(checkpoint.removeprefix("ffhq-"))
    assert len(card.weights) == 4


def test_values_beyond_the_range_are_cut_off_or_the_image_is_stretched() -> None:
    image = torch.linspace(-0.5, 1.5, 3 * 64 * 64).view(1, 3, 64, 64)
    clamped = published(image, "clamp", 64)
    torch.testing.assert_close(clamped, image.clamp(0, 1))
    stretched = published(image, "adaptive", 64)
    torch.testing.assert_close(stretched, image / 2 + 0.25)
    assert published(image, "clamp", 16).shape == (1, 3, 16, 16)


def test_the_paper_suite_stretches_as_the_authors_did() -> None:
    assert registry.methods.parse("falco", "paper").config["scaling"] == "adaptive"
    assert registry.methods.parse("falco", "demo").config["scaling"] == "clamp"


def test_missing_weights_are_one_error_that_names_all_files(anonbench_home: Path) -> None:
    with pytest.raises(MissingArtefact) as caught:
        build()
    text = str(caught.value)
    for name in ("stylegan2-ffhq1024", "e4e-ffhq1024", "ir-se50"):
        assert f"anonbench weights import {name}" in text
    assert "https://github.com/chi0tzp/FALCO" in text
    assert not list(anonbench_home.rglob("*.shard"))


@pytest.mark.parametrize(
    "settings", ["margin=2.0", "steps=0", "pool=0", "truncation=0.0", "ranges=all", "scaling=no"]
)
def test_a_parameter_out_of_range_is_refused(world: None, settings: str) -> None:
    with pytest.raises(BadConfig, match=f"falco:{settings} is not allowed"):
        build(f":{settings}")


def test_crops_that_are_not_square_are_refused(world: None) -> None:
    with pytest.raises(BadData, match="3 x 48 x 40"):
        build(SMALL).anonymize(torch.zeros(1, 3, 48, 40), KEYS[:1])


def test_its_parts_are_those_of_g2faces_table() -> None:
    """30.370 million parameters and 150.898 GFLOPs: one pass of the generator."""
    with torch.device("meta"):
        parts = {part.name: part for part in Falco.parts(registry.methods.parse("falco"))}
    (core,) = [part for part in parts.values() if part.core]
    assert millions(core.module) == pytest.approx(30.370, abs=5e-4)
    assert 2 * gigamacs(core.module, (1, 18, 512), None) == pytest.approx(150.898, rel=0.02)
    step = parts["optimisation step"]
    assert step.passes == 50
    own = {id(p) for part in parts.values() if part is not step for p in part.module.parameters()}
    assert {id(p) for p in step.module.parameters()} <= own
    assert not any(p.requires_grad for part in parts.values() for p in part.module.parameters())


def test_a_step_can_be_run_and_counted_without_values() -> None:
    with torch.device("meta"), torch.no_grad():
        step = Falco.parts(registry.methods.parse("falco"))[-1]
        assert step.module(*step.inputs).shape == (1, 5, 512)
