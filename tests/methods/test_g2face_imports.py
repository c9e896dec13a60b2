"""Checkpoints in their authors' layouts, filled by the parity kit: imported, loaded, proved."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.io import savemat
from torch import Tensor
from typer.testing import CliRunner

from anonbench import registry, weights
from anonbench.cli.app import app
from anonbench.errors import BadData, MissingArtefact
from anonbench.generative.models import Model
from anonbench.nets.float_bits import floats_to_bits
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.testing.fixtures import Fixture, read_fixture
from anonbench.testing.inputs import synthetic_faces
from anonbench.testing.parity import FilledStates, signed
from anonbench.values import sample_key
from anonbench_g2face.checkpoints import load_model
from anonbench_g2face.method import G2Face

Error = Callable[[str, str, Tensor], float]


@pytest.fixture(scope="module")
def kit(shared: Path) -> dict[str, Fixture]:
    names = ("g2face", "arcface_r50", "d3dfr", "stylegan2_ffhq256")
    return {name: read_fixture(shared / "parity", name) for name in names}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache folder for all tests of this module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("ANONBENCH_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def files(kit: dict[str, Fixture], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files as their authors publish them, with what training leaves in them."""
    folder = tmp_path_factory.mktemp("downloads")
    states = {name: FilledStates(fixture.layout) for name, fixture in kit.items()}
    g2face = {
        name: states["g2face"][name]
        for name in ("anonymous_net", "map_2_id", "style_mlp", "hiding_extractor")
    }
    adam = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]}
    contents: dict[str, Any] = {
        "G2Face.pth": {**g2face, "optimizer": adam, "scheduler": None, "epoch": 45, "iter": 7},
        "ms1mv3_arcface_r50.pth": states["arcface_r50"]["backbone"],
        "epoch_20.pth": {"net_recon": states["d3dfr"]["net_recon"], "opt_00": adam},
        "550000.pt": {
            "g_ema": states["stylegan2_ffhq256"]["g_ema"],
            "g_optim": adam,
            "args": Namespace(size=256, path="ffhq.lmdb"),
            "ada_aug_p": 0.0,
        },
    }
    for name, content in contents.items():
        torch.save(content, folder / name)
    return {name: folder / name for name in contents}


@pytest.fixture(scope="module")
def model(home: Path, files: dict[str, Path]) -> Model:
    for name in ("g2face", "arcface-r50-ms1mv3", "d3dfr"):
        file = weights.catalogue()[name].parts[0].file
        done = CliRunner().invoke(app, ["weights", "import", name, str(files[file])])
        assert done.exit_code == 0, done.output
    return load_model("official", "", "cpu")


@pytest.fixture(scope="module")
def error(kit: dict[str, Fixture]) -> Error:
    """Largest difference to a stored output over its tolerance."""

    def measure(fixture: str, name: str, found: Tensor) -> float:
        info = kit[fixture].layout.fixtures[name]
        assert isinstance(info.tolerance, float)
        excerpt = info.excerpt(found.numpy())
        difference = abs(excerpt - kit[fixture].outputs[name][: len(excerpt)]).max()
        return float(difference / info.scale / info.tolerance)

    return measure


def given(fixture: Fixture) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in fixture.inputs.items()}


@torch.no_grad()
def test_the_imported_priors_are_the_authors(
    model: Model, kit: dict[str, Fixture], error: Error
) -> None:
    images = signed(given(kit["arcface_r50"])["images256"])
    assert error("arcface_r50", "embedding256", model.identity.embed(images)) < 1
    images = signed(given(kit["d3dfr"])["images256"])
    coefficients = model.geometry.all_coefficients(images)
    assert error("d3dfr", "coeff256", coefficients) < 1
    steering = model.geometry.coefficients(images)
    assert torch.equal(steering, coefficients[:, [*range(144), 224, 225, 226]])


@torch.no_grad()
def test_the_imported_networks_compute_the_authors_chain(
    model: Model, kit: dict[str, Fixture], error: Error
) -> None:
    data, nets = given(kit["g2face"]), model.networks
    dummy = nets.map_2_id(data["z"])
    assert error("g2face", "dummy_id", dummy) < 1
    steering = data["coeff"][:, [*range(144), 224, 225, 226]]
    wplus = nets.style_mlp(dummy, steering)[:1]
    bits = floats_to_bits(data["e_id"])[:1]
    anonymised = nets.anonymous_net(signed(data["images"][:1]), wplus, bits, None)
    assert error("g2face", "chain_anonymised0", anonymised) < 1
    assert error("g2face", "chain_logits", nets.hiding_extractor(anonymised)) < 1


def test_the_official_method_works_end_to_end(model: Model, home: Path) -> None:
    method = G2Face(registry.methods.parse("g2face", "paper"), "cpu")
    faces, key = synthetic_faces(1, 256), sample_key(0, "a")
    published = (method.anonymize(faces, [key]) * 255).round() / 255
    assert method.hidden_bits(faces).shape == method.extract_bits(published).shape == (1, 16_384)
    assert not torch.allclose(published, faces, atol=0.1)
    assert method.recover(published, [key]).isfinite().all()


@torch.no_grad()
def test_stylegan2_is_imported_with_what_its_training_left(
    home: Path, files: dict[str, Path], kit: dict[str, Fixture], error: Error
) -> None:
    path = weights.import_file("stylegan2-ffhq-256", files["550000.pt"])
    assert path == weights.path("stylegan2-ffhq-256") and path.suffix == ".safetensors"
    net = Generator(Sizes())
    load_state(net, load_file(path))
    assert error("stylegan2_ffhq256", "w", net.map(given(kit["stylegan2_ffhq256"])["z"])) < 1


def test_importing_twice_is_the_same_file(model: Model, home: Path, files: dict[str, Path]) -> None:
    before = weights.digest("d3dfr")
    weights.import_file("d3dfr", files["epoch_20.pth"])
    assert weights.digest("d3dfr") == before


def test_a_file_in_the_download_folder_is_imported_by_fetch(
    anonbench_home: Path, files: dict[str, Path]
) -> None:
    with pytest.raises(MissingArtefact, match=r"cannot be fetched.*epoch_20\.pth"):
        weights.fetch(["d3dfr"])
    (path,) = weights.fetch(["d3dfr"], source_dir=files["epoch_20.pth"].parent, offline=True)
    assert "backbone.conv1.weight" in load_file(path)


@pytest.mark.parametrize(
    ("name", "file", "entry"),
    [("g2face", "G2Face.pth", "style_mlp"), ("d3dfr", "epoch_20.pth", "net_recon")],
)
def test_a_mismatch_is_listed_and_nothing_imported(
    anonbench_home: Path, tmp_path: Path, files: dict[str, Path], name: str, file: str, entry: str
) -> None:
    content = torch.load(files[file], weights_only=True)
    first, second, third = list(content[entry])[:3]
    content[entry]["surplus"] = torch.ones(1)
    content[entry][second] = torch.ones(7, 7, 7)
    del content[entry][first]
    torch.save(content, tmp_path / "changed.pth")
    with pytest.raises(BadData) as caught:
        weights.import_file(name, tmp_path / "changed.pth")
    text = str(caught.value)
    assert f"1 missing: {first}." in text
    assert "1 unexpected: surplus." in text
    assert f"1 of another shape: {second} [7, 7, 7] instead of" in text
    assert third not in text
    assert "changed.pth" in text
    assert not weights.is_present(name)


def test_a_file_of_another_model_is_refused(anonbench_home: Path, files: dict[str, Path]) -> None:
    with pytest.raises(BadData, match=r"lacks the entries anonymous_net, hiding_extractor"):
        weights.import_file("g2face", files["550000.pt"])
    with pytest.raises(BadData, match=r"no entry 'net_recon'.*g_ema"):
        weights.import_file("d3dfr", files["550000.pt"])
    with pytest.raises(BadData, match=r"IResNet.*396 missing"):
        weights.import_file("arcface-r50-ms1mv3", files["epoch_20.pth"])


def test_the_face_model_is_checked_and_kept(anonbench_home: Path, tmp_path: Path) -> None:
    savemat(tmp_path / "BFM_model_front.mat", {"meanshape": np.zeros((1, 9))})
    with pytest.raises(BadData, match="it has no"):
        weights.import_file("bfm09-front", tmp_path / "BFM_model_front.mat")
    with pytest.raises(MissingArtefact, match=r"(?s)faces\.dmi\.unibas\.ch.*import bfm09-front"):
        weights.path("bfm09-front")


def test_the_paper_suite_asks_for_the_weights_first(anonbench_home: Path) -> None:
    command = ["run", "--method", "g2face", "--protocol", "lfw-tar", "--suite", "paper"]
    done = CliRunner().invoke(app, command)
    text = " ".join(str(done.exception).split())
    assert isinstance(done.exception, MissingArtefact)
    for name, file in (
        ("g2face", "G2Face.pth"),
        ("arcface-r50-ms1mv3", "ms1mv3_arcface_r50.pth"),
        ("d3dfr", "epoch_20.pth"),
    ):
        assert f"{file}: https://github.com/" in text
        assert f"anonbench weights import {name} {file}" in text
    assert "neither other weights nor random ones" in text
    assert not list(anonbench_home.rglob("*.safetensors"))
