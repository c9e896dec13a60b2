"""FIT as a method, on weights that are filled by rule: its promises hold whatever was trained."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fit_world import filled
from torch import Tensor

from anonbench import registry, weights
from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.errors import BadConfig, BadData, MissingArtefact
from anonbench.interfaces import TakesWrongBits
from anonbench.testing import check_method, failures
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench_fit.checkpoints import load_generator
from anonbench_fit.method import Fit
from anonbench_fit.networks import Generator
from anonbench_fit.passwords import drawn_bits

SIDE = 16
KEYS = [sample_key(0, name) for name in "abc"]
OTHER_KEYS = [sample_key(1, name) for name in "abc"]


@pytest.fixture(scope="module", autouse=True)
def single_thread() -> Iterator[None]:
    """Small convolutions gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return filled(Generator())


@pytest.fixture(scope="module")
def download(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the authors' layout, with what training leaves in it."""
    adam = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]}
    content = {
        "epoch": 29,
        "state_dict_G": state,
        "state_dict_D": {"model.0.weight": torch.ones(3)},
        "optimizer_G": adam,
    }
    path = tmp_path_factory.mktemp("download") / "checkpoint_0029.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=False)  # as PyTorch 1.1 does
    return path


@pytest.fixture(scope="module")
def home(download: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder with the weights imported, and a reference batch that needs no LFW."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("ANONBENCH_HOME", str(folder))
        for name in ("fit", "fit-one-fourth"):
            weights.import_file(name, download)
        patch.setattr(
            "anonbench_fit.checkpoints.reference_faces",
            lambda side: synthetic_faces(4, side, seed=9),
        )
        parse = registry.methods.parse
        patch.setattr(registry.methods, "parse", lambda spec, suite="": shrunk(parse(spec)))
        yield folder


def shrunk(card: MethodCard) -> MethodCard:
    """A card for crops of an eighth of the side: the network is fully convolutional."""
    return card.model_copy(update={"template": f"fit-{template(card.template).size // 8}"})


def build(settings: str = "") -> Fit:
    return Fit(registry.methods.parse(f"fit{settings}"), "cpu")


@pytest.fixture(scope="module")
def method(home: Path) -> Fit:
    return build()


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return synthetic_faces(3, SIDE)


@pytest.fixture(scope="module")
def published(method: Fit, faces: Tensor) -> Tensor:
    return (method.anonymize(faces, KEYS) * 255).round() / 255


def spy(net: Generator, run: Any) -> tuple[Tensor, Tensor]:
    """Images and code that a network is called with while something runs."""
    calls: list[tuple[Tensor, Tensor]] = []
    hook = net.register_forward_pre_hook(lambda module, inputs: calls.append(inputs))
    run()
    hook.remove()
    (call,) = calls
    return call


# --------------------------------------------------------------------------------- conformance
@pytest.mark.parametrize("checkpoint", ["half", "one_fourth", "half-256", "one_fourth-256"])
def test_keeps_every_promise(home: Path, checkpoint: str) -> None:
    checks = check_method(f"fit:checkpoint={checkpoint}")
    assert failures(checks) == []
    assert {"recover: honest", "anonymize: batch size", "recover: keys"} <= {
        check.name for check in checks if check.passed
    }


def test_the_authors_mode_breaks_one_promise_openly(home: Path) -> None:
    failed = {check.name for check in failures(check_method("fit:statistics=authors"))}
    assert failed == {"anonymize: batch size"}


# ----------------------------------------------------------------------------------- passwords
def test_a_password_follows_from_the_key_alone() -> None:
    drawn = drawn_bits([*KEYS, *OTHER_KEYS])
    assert torch.equal(drawn, drawn_bits([*KEYS, *OTHER_KEYS]))
    assert torch.equal(drawn[1:2], drawn_bits(KEYS[1:2]))
    assert len(drawn.unique(dim=0)) == 6
    many = drawn_bits([sample_key(0, str(i)) for i in range(2000)])
    torch.testing.assert_close(many.float().mean(0), torch.full((16,), 0.5), rtol=0, atol=0.05)


@pytest.mark.parametrize(("checkpoint", "amplitude"), [("half", 0.5), ("one_fourth", 0.25)])
def test_recovery_is_the_same_network_under_the_complement(
    home: Path, faces: Tensor, published: Tensor, checkpoint: str, amplitude: float
) -> None:
    method = build(f":statistics=authors:checkpoint={checkpoint}")
    assert method._model.stages.anonymizer is method._model.stages.recoverer
    images, code = spy(method._model.stages.anonymizer, lambda: method.anonymize(faces, KEYS))
    torch.testing.assert_close(images, faces * 2 - 1)
    assert torch.equal(code == amplitude, drawn_bits(KEYS))
    assert torch.equal(code.abs(), torch.full((3, 16), amplitude))
    images, complement = spy(
        method._model.stages.recoverer, lambda: method.recover(published, KEYS)
    )
    torch.testing.assert_close(images, published * 2 - 1)
    assert torch.equal(complement, -code)
    _, wrong = spy(method._model.stages.recoverer, lambda: method.recover(published, OTHER_KEYS))
    assert not torch.equal(wrong, complement)


def test_the_default_recovers_by_the_same_weights(method: Fit) -> None:
    one, other = method._model.stages.anonymizer, method._model.stages.recoverer
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_wrong_passwords_and_wrong_bits_give_other_images(method: Fit, published: Tensor) -> None:
    right = method.recover(published, KEYS)
    wrong = method.recover(published, OTHER_KEYS)
    assert (right - wrong).abs().mean(dim=(1, 2, 3)).min() > 1e-3


def test_every_wrong_bit_changes_what_comes_out(method: Fit, published: Tensor) -> None:
    assert isinstance(method, TakesWrongBits)
    right = method.recover(published, KEYS)
    order = torch.rand(3, 16, generator=torch.Generator().manual_seed(0)).argsort(dim=1)
    curve = []
    for count in range(17):
        astray = method.recover_with_wrong_bits(published, KEYS, order < count)
        curve.append(float((astray - right).abs().mean()))
    assert curve[0] == 0
    assert min(curve[1:]) > 1e-3


# ---------------------------------------------------------------------------------- statistics
def test_each_stage_has_statistics_of_its_own_images(method: Fit) -> None:
    means = [
        dict(net.named_buffers())
        for net in (method._model.stages.anonymizer, method._model.stages.recoverer)
    ]
    assert len(means[0]) == len(means[1]) == 2 * 23
    assert all(not torch.equal(means[0][key], means[1][key]) for key in means[0])


def test_statistics_are_an_option(home: Path, method: Fit, faces: Tensor) -> None:
    authors = build(":statistics=authors")
    assert not torch.allclose(authors.anonymize(faces, KEYS), method.anonymize(faces, KEYS))
    with pytest.raises(BadConfig, match="statistics must be reference or authors, not 'mine'"):
        build(":statistics=mine")


# ------------------------------------------------------------------------------------- weights
def test_the_checkpoint_is_imported_key_for_key(home: Path, state: dict[str, Tensor]) -> None:
    loaded = load_generator("one_fourth").state_dict()
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    assert weights.record("fit").startswith("test fill ")


def test_the_prefix_of_several_gpus_is_taken_off(
    anonbench_home: Path, tmp_path: Path, state: dict[str, Tensor]
) -> None:
    parallel = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict_G": parallel}, tmp_path / "a.pth.tar")
    weights.import_file("fit", tmp_path / "a.pth.tar")
    assert torch.equal(load_generator("half").model[1].weight, state["model.1.weight"])


def test_a_mismatch_is_listed_and_nothing_imported(
    anonbench_home: Path, tmp_path: Path, state: dict[str, Tensor]
) -> None:
    first, second, *_ = state
    changed = {**state, second: torch.ones(7), "module.surplus": torch.ones(1)}
    del changed[first]
    torch.save({"state_dict_G": changed}, tmp_path / "changed.pth.tar")
    with pytest.raises(BadData) as caught:
        weights.import_file("fit", tmp_path / "changed.pth.tar")
    text = str(caught.value)
    assert f"1 missing: {first}." in text
    assert "1 unexpected: module.surplus." in text
    assert f"1 of another shape: {second} [7] instead of" in text
    torch.save({"state_dict_D": changed}, tmp_path / "other.pth.tar")
    with pytest.raises(BadData, match=r"no entry 'state_dict_G'.*state_dict_D"):
        weights.import_file("fit", tmp_path / "other.pth.tar")
    assert not weights.is_present("fit")


@pytest.mark.parametrize(
    ("settings", "artefact"), [("", "fit"), (":checkpoint=one_fourth-256", "fit-one-fourth")]
)
def test_without_weights_there_is_no_substitute(
    anonbench_home: Path, settings: str, artefact: str
) -> None:
    with pytest.raises(MissingArtefact) as caught:
        build(settings)
    text = str(caught.value)
    assert "https://github.com/laoreja/face-identity-transformer" in text
    assert re.search(rf"anonbench weights import {artefact} checkpoint_XXXX\.pth\.tar", text)


# ---------------------------------------------------------------------------------------- card
def test_the_checkpoint_says_the_size() -> None:
    parse = registry.methods.card("fit").configured
    config = registry.methods.card("fit").config
    assert parse(config).template == "fit-128"
    paper = registry.methods.card("fit").suite_config["paper"]
    assert parse(config | paper).template == "fit-256"
    (part,) = Fit.parts(parse(config | {"checkpoint": "one_fourth-256"}))
    assert [tuple(given.shape) for given in part.inputs] == [(1, 3, 256, 256), (1, 16)]
    assert part.core
    assert sum(p.numel() for p in part.module.parameters()) == pytest.approx(11.434e6, abs=500)


def test_a_crop_of_another_size_is_refused(method: Fit) -> None:
    with pytest.raises(BadData, match=r"16 x 16 pixels, not 3 x 64 x 64.*fit-16"):
        method.anonymize(synthetic_faces(3, 64), KEYS)
