"""G²Face as a method, on bundles of random weights: its promises hold whatever was trained."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from g2face_bundles import small, write_bundle
from safetensors.torch import save_file
from torch import Tensor

from anonbench import registry
from anonbench.errors import BadConfig, BadData, MissingArtefact
from anonbench.nets.float_bits import bits_to_floats, floats_to_bits, logits_to_bits
from anonbench.testing import check_method, failures
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench.weights import files
from anonbench_g2face.ablations import ABLATIONS
from anonbench_g2face.config import CODE, PAPER
from anonbench_g2face.method import G2Face

KEYS = [sample_key(0, name) for name in "abc"]
OTHER_KEYS = [sample_key(1, name) for name in "abc"]


@pytest.fixture(scope="session")
def dlib(artefact: Callable[[str], Path]) -> None:
    artefact("dlib-resnet")


@pytest.fixture(scope="module")
def bundle(dlib: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("g2face") / "bundle.safetensors")


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return synthetic_faces(3, 128)


def build(bundle: Path, settings: str = "") -> G2Face:
    return G2Face(registry.methods.parse(f"g2face:bundle={bundle}{settings}"), "cpu")


@pytest.fixture(scope="module")
def method(bundle: Path) -> G2Face:
    return build(bundle)


@pytest.fixture(scope="module")
def published(method: G2Face, faces: Tensor) -> Tensor:
    return (method.anonymize(faces, KEYS) * 255).round() / 255


class Spy:
    """What the networks of a method are called with."""

    def __init__(self, method: G2Face) -> None:
        networks = method._model.networks
        self.decoder: list[Tensor] = []
        self.identity: list[Tensor] = []
        self._hooks = [
            networks.anonymous_net.register_forward_pre_hook(self._decoder),
            networks.style_mlp.register_forward_pre_hook(self._mapper),
        ]

    def _decoder(self, module: object, arguments: tuple[Any, ...]) -> None:
        self.decoder.append(arguments[2])

    def _mapper(self, module: object, arguments: tuple[Any, ...]) -> None:
        self.identity.append(arguments[0])

    def __enter__(self) -> "Spy":
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()


def test_it_keeps_the_promises_of_the_suite(bundle: Path) -> None:
    checks = check_method(f"g2face:bundle={bundle}")
    assert failures(checks) == []
    assert {"recover: honest", "hidden bits: extracted"} <= {c.name for c in checks if c.passed}


def test_what_is_hidden_is_the_identity_as_floats(method: G2Face, faces: Tensor) -> None:
    with Spy(method) as spy:
        method.anonymize(faces, KEYS)
    bits = method.hidden_bits(faces)
    assert bits.shape == (3, 4096)
    assert torch.equal(spy.decoder[0].flatten(1), bits)
    identity = torch.cat([method._model.identity.embed(face[None] * 2 - 1) for face in faces])
    hidden = bits_to_floats(bits.view(3, 128, 32), "raw")
    torch.testing.assert_close(hidden, identity, rtol=1e-4, atol=1e-4)
    assert torch.equal(floats_to_bits(hidden).flatten(1), bits)


def test_identities_come_from_the_key_alone(method: G2Face, faces: Tensor) -> None:
    with Spy(method) as spy:
        method.anonymize(faces, KEYS)
        method.anonymize(faces.flip(3), KEYS)
        method.anonymize(faces, OTHER_KEYS)
    same, again, other = spy.identity
    assert torch.equal(same, again)
    assert ((same - other).abs().amax(dim=1) > 0.1).all()
    assert not torch.allclose(same[0], same[1], atol=0.1)


def test_recovery_takes_the_identity_from_the_pixels_and_a_placeholder_for_the_password(
    method: G2Face, faces: Tensor, published: Tensor
) -> None:
    with Spy(method) as spy:
        method.recover(published, KEYS)
    logits = method._model.networks.hiding_extractor((published - 0.5) / 0.5)
    read = bits_to_floats(logits_to_bits(logits), "clamp50")
    assert torch.equal(spy.identity[0], read)
    agreeing = (spy.decoder[0].flatten(1) == method.hidden_bits(faces)).float().mean(dim=1)
    torch.testing.assert_close(agreeing, torch.full((3,), 0.5), rtol=0, atol=0.05)


def test_recovery_needs_nothing_but_pixels(bundle: Path, method: G2Face, published: Tensor) -> None:
    expected = method.recover(published, KEYS)
    method.anonymize(synthetic_faces(3, 128, seed=5), OTHER_KEYS)
    assert torch.equal(method.recover(published, KEYS), expected)
    assert torch.equal(build(bundle).recover(published, KEYS), expected)


def test_a_crop_comes_out_the_same_in_any_company(method: G2Face, faces: Tensor) -> None:
    together = method.anonymize(faces, KEYS)
    alone = torch.cat([method.anonymize(faces[i : i + 1], KEYS[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)
    bits = torch.cat([method.hidden_bits(face[None]) for face in faces])
    assert torch.equal(method.hidden_bits(faces), bits)


def test_noise_is_the_keys_or_never_the_same(bundle: Path, method: G2Face, faces: Tensor) -> None:
    first = method.anonymize(faces, KEYS)
    assert torch.equal(method.anonymize(faces, KEYS), first)
    fresh = build(bundle, ":noise=fresh")
    one, two = fresh.anonymize(faces, KEYS), fresh.anonymize(faces, KEYS)
    assert not torch.allclose(one, two, atol=1e-3)


def test_the_guard_is_an_option(bundle: Path, method: G2Face, published: Tensor) -> None:
    raw = build(bundle, ":guard=raw")
    with Spy(method) as guarded, Spy(raw) as unguarded:
        method.recover(published, KEYS)
        restored = raw.recover(published, KEYS)
    assert guarded.identity[0].abs().max() <= 50
    bits = logits_to_bits(raw.extract_bits(published)).view(3, 128, 32)
    said = bits_to_floats(bits, "raw")
    torch.testing.assert_close(unguarded.identity[0], said, rtol=0, atol=0, equal_nan=True)
    assert not bool((said.abs() <= 50).all())  # random networks say wild things
    assert restored.isfinite().all()


def test_a_preset_is_another_network(
    dlib: None, tmp_path: Path, faces: Tensor, published: Tensor
) -> None:
    paper = write_bundle(tmp_path / "paper.safetensors", small(PAPER))
    built = build(paper, ":preset=paper")
    assert built._architecture.extractor == "plain"
    bits = built.extract_bits(published)
    assert bits.shape == (3, 4096)
    assert built.anonymize(faces, KEYS).isfinite().all()
    with pytest.raises(BadConfig, match=r"mask_selects = face, not generated.*extractor = plain"):
        build(paper, ":preset=code")
    with pytest.raises(BadConfig, match="no preset 'mine'"):
        build(paper, ":preset=mine")


@pytest.mark.parametrize("option", [{"mask_selects": "face"}, {"mask_norm": False}])
def test_masks_work_as_the_bundle_says(
    dlib: None, tmp_path: Path, method: G2Face, faces: Tensor, option: dict[str, Any]
) -> None:
    other = build(write_bundle(tmp_path / "other.safetensors", replace(small(), **option)))
    states = other._model.networks.state_dict(), method._model.networks.state_dict()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])
    changed = (other.anonymize(faces, KEYS) - method.anonymize(faces, KEYS)).abs()
    assert changed.amax(dim=(1, 2, 3)).min() > 0.01


@pytest.mark.parametrize("row", ABLATIONS)
def test_the_rows_of_the_ablation_run(dlib: None, tmp_path: Path, faces: Tensor, row: str) -> None:
    variant = ABLATIONS[row]
    present = [variant.generative_prior, variant.geometric_prior, variant.fusion]
    assert present == [part in row.split("+") for part in ("GENP", "GEOP", "IFF")]
    built = build(write_bundle(tmp_path / "row.safetensors", small(variant)))
    keys = [KEYS[0]] * 2
    result = built.anonymize(faces[:2], keys)
    recovered = built.recover(result, keys)
    assert recovered.shape == result.shape and recovered.isfinite().all()
    pixels = torch.stack([faces[0], faces[0].roll(9, 2)])
    shown = built.anonymize(pixels, keys)
    coefficients = built._model.geometry.coefficients(pixels)
    assert coefficients.shape[1] == (8 if variant.geometric_prior else 0)
    assert not torch.equal(shown[0], shown[1])  # if nothing else, another password


def test_the_full_model_is_the_authors_reading() -> None:
    assert len(ABLATIONS) == 7
    assert ABLATIONS["GENP+GEOP+IFF"] == CODE


def test_half_precision_changes_little(method: G2Face, faces: Tensor, tmp_path: Path) -> None:
    halved = build(write_bundle(tmp_path / "half.safetensors", half=True))
    difference = halved.anonymize(faces, KEYS) - method.anonymize(faces, KEYS)
    assert 0 < difference.abs().mean() < 0.02


# --------------------------------------------------------------------------------------- cards
def test_the_suite_chooses_the_checkpoint_unless_the_user_does() -> None:
    parse = registry.methods.parse
    demo, official = parse("g2face", "demo"), parse("g2face", "paper")
    assert (demo.template, demo.hidden_bits) == ("ffhq-128", 4_096)
    assert (official.template, official.hidden_bits) == ("ffhq-256", 16_384)
    assert parse("g2face:checkpoint=demo", "paper").template == "ffhq-128"
    assert "dlib-resnet" in demo.white_box_judges
    assert official.white_box_judges[0] == "arcface-r50-ms1mv3"
    with pytest.raises(BadConfig, match=r"no checkpoint 'mine'.*demo, official"):
        parse("g2face:checkpoint=mine")


def test_own_weights_take_the_place_of_the_checkpoints() -> None:
    parse = registry.methods.parse
    assert parse("g2face:bundle=x.safetensors").files == ()
    own = parse("g2face:checkpoint=official:bundle=x.safetensors")
    assert own.weights == ("arcface-r50-ms1mv3", "d3dfr")


def test_weights_of_the_package_and_of_the_user_are_known_by_content(
    dlib: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anonbench.engine.job import method_ref

    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    ref = method_ref(registry.methods.parse(f"g2face:bundle={one}"))
    assert ref.weights["bundle"] == hashlib.sha256(b"one").hexdigest()
    assert set(ref.weights) == {"dlib-resnet", "bundle"}
    monkeypatch.setattr("anonbench.weights.packaged", lambda name: two)
    ref = method_ref(registry.methods.parse("g2face"))
    assert ref.weights["anonbench_g2face/demo.safetensors"] == hashlib.sha256(b"two").hexdigest()
    with pytest.raises(BadConfig, match=r"nothing\.safetensors cannot be read"):
        method_ref(registry.methods.parse(f"g2face:bundle={tmp_path}/nothing.safetensors"))


def test_the_demo_is_the_packages_file(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("anonbench.weights.packaged", lambda name: asked.append(name) or bundle)
    G2Face(registry.methods.parse("g2face"), "cpu")
    assert asked == ["anonbench_g2face/demo.safetensors"]


def test_without_weights_there_is_no_substitute(
    anonbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(MissingArtefact, match=r"demo\.safetensors are not in the installed"):
        G2Face(registry.methods.parse("g2face"), "cpu")
    with pytest.raises(MissingArtefact) as caught:
        G2Face(registry.methods.parse("g2face:checkpoint=official"), "cpu")
    text = str(caught.value)
    for name, file in (("g2face", "G2Face.pth"), ("d3dfr", "epoch_20.pth")):
        assert f"anonbench weights import {name} {file}" in text
    assert "https://github.com/Harxis/G2Face" in text


# -------------------------------------------------------------------------------------- errors
def test_unknown_settings_and_wrong_sizes_are_refused(bundle: Path, method: G2Face) -> None:
    with pytest.raises(BadConfig, match="guard must be clamp50 or raw, not 'none'"):
        build(bundle, ":guard=none")
    with pytest.raises(BadConfig, match="noise must be key or fresh"):
        build(bundle, ":noise=off")
    with pytest.raises(BadData, match=r"128 x 128 pixels, not 3 x 64 x 64.*ffhq-128"):
        method.anonymize(synthetic_faces(3, 64), KEYS)


def test_a_bundle_that_is_none_is_refused(dlib: None, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(BadData, match="is no bundle"):
        build(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadData, match="is no bundle"):
        build(path)
    with pytest.raises(BadData, match="is no bundle"):
        build(tmp_path / "absent.safetensors")
