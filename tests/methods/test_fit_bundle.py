"""FIT's bundles: what training exports runs, with nothing else beside it."""

from pathlib import Path

import pytest
import torch
from fit_world import SIDE, small_generator, write_bundle
from safetensors.torch import load_file, save_file

from anonbench import registry
from anonbench.errors import BadConfig, BadData
from anonbench.testing import check_method, failures
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench_fit.bundle import pack, read
from anonbench_fit.method import Fit
from anonbench_fit.networks import password_code
from anonbench_fit.passwords import drawn_bits
from anonbench_fit.reference import fixed_by, normalisations

KEYS = [sample_key(0, name) for name in "abc"]


def build(settings: str) -> Fit:
    return Fit(registry.methods.parse(f"fit:{settings}"), "cpu")


@pytest.fixture
def own_bundle(anonbench_home: Path, tmp_path: Path) -> Path:
    """One of 128 pixels, where nothing has been fetched."""
    return write_bundle(tmp_path / "own.safetensors", side=128)


def test_a_bundle_keeps_every_promise_and_needs_nothing_else(own_bundle: Path) -> None:
    spec = f"fit:checkpoint=small:bundle={own_bundle}"
    assert registry.methods.parse(spec).weights == ()
    checks = check_method(spec)
    assert failures(checks) == []
    assert {"recover: honest", "anonymize: batch size"} <= {c.name for c in checks if c.passed}


def test_what_is_read_is_what_was_packed(tmp_path: Path) -> None:
    bundle = read(write_bundle(tmp_path / "a.safetensors", scheme="one_fourth"))
    generator = small_generator().eval()
    assert (bundle.about.scheme, bundle.about.side) == ("one_fourth", SIDE)
    stages = fixed_by(generator, "one_fourth", synthetic_faces(4, SIDE, seed=9))
    faces, code = synthetic_faces(3, SIDE) * 2 - 1, password_code(drawn_bits(KEYS), "one_fourth")
    with torch.no_grad():
        assert torch.equal(bundle.generator(faces, code), generator(faces, code))
        for found, expected in zip(bundle.stages, stages, strict=True):
            assert torch.equal(found(faces, code), expected(faces, code))
            assert torch.equal(found(faces[:1], code[:1]), expected(faces[:1], code[:1]))


def test_packing_leaves_the_generator_as_it_is() -> None:
    generator = small_generator().train()
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    tensors = pack(generator, "half", synthetic_faces(2, SIDE))
    assert generator.training
    assert all(parameter.requires_grad for parameter in generator.parameters())
    assert not any(tensor.requires_grad for tensor in tensors.values())
    assert list(generator.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())
    layers = {key.split(".", 2)[2] for key in tensors if key.startswith("reference.recover.")}
    assert layers == {f"{n}.{k}" for n in normalisations(generator) for k in ("mean", "var")}


def test_in_half_precision_statistics_are_those_of_what_is_stored(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "a.safetensors", half=True)
    assert load_file(path)["generator.model.1.weight"].dtype == torch.float16
    bundle = read(path)
    assert {p.dtype for p in bundle.generator.parameters()} == {torch.float32}
    again = fixed_by(bundle.generator, "half", synthetic_faces(4, SIDE, seed=9))
    faces, code = synthetic_faces(3, SIDE) * 2 - 1, password_code(drawn_bits(KEYS))
    with torch.no_grad():
        assert torch.equal(bundle.stages.recoverer(faces, code), again.recoverer(faces, code))


def test_numbers_that_are_not_finite_are_not_packed() -> None:
    generator = small_generator()
    torch.nn.init.constant_(generator.model[1].weight, 1e6)
    with pytest.raises(BadData, match=r"not finite: generator\.model\.1\.weight"):
        pack(generator, "half", synthetic_faces(2, SIDE), half=True)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("checkpoint=one_fourth", "'half' and 128 pixels.*'one_fourth' for 'one_fourth' and 128"),
        ("checkpoint=half-256", "'half' and 128 pixels.*'half-256' for 'half' and 256"),
    ],
)
def test_a_bundle_for_another_checkpoint_is_refused(
    own_bundle: Path, settings: str, reason: str
) -> None:
    with pytest.raises(BadConfig, match=reason):
        build(f"{settings}:bundle={own_bundle}")


def test_the_small_checkpoint_asks_for_weights() -> None:
    with pytest.raises(BadConfig, match=r"no weights of its own.*anonbench train fit --config"):
        build("checkpoint=small")


def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"model.1.weight": torch.ones(2)}, path)
    with pytest.raises(BadData, match=r"no bundle of FIT.*anonbench weights import fit FILE"):
        read(path)
    path.write_bytes(b"nothing")
    with pytest.raises(BadData, match="no bundle of FIT"):
        read(path)
    with pytest.raises(BadData, match="no bundle of FIT"):
        read(tmp_path / "none.safetensors")


def test_a_bundle_without_all_statistics_is_refused(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "a.safetensors")
    tensors = load_file(path)
    del tensors["reference.recover.model.2.mean"]
    save_file(tensors, path)
    with pytest.raises(BadData, match=r"1 missing: model\.2\.running_mean"):
        read(path)


def test_the_complexity_of_a_bundle_is_its_own(own_bundle: Path) -> None:
    card = registry.methods.parse(f"fit:checkpoint=small:bundle={own_bundle}")
    (part,) = Fit.parts(card)
    own, given = (
        sum(p.numel() for p in net.parameters()) for net in (small_generator(), part.module)
    )
    assert own == given
    assert [tuple(one.shape) for one in part.inputs] == [(1, 3, 128, 128), (1, 16)]
