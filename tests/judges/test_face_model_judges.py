"""D3DFR, DECA and HopeNet with the parity kit's weights, imported from their authors' layouts."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from anonbench import registry, weights
from anonbench.cli.app import app
from anonbench.data.align import template
from anonbench.errors import BadData, MissingArtefact
from anonbench.interfaces import Describer
from anonbench.testing.fixtures import read_fixture
from anonbench.testing.parity import FilledStates, unit

NAMES = ("d3dfr", "deca", "hopenet")
FIXTURES = {"d3dfr": "d3dfr", "deca": "deca_e_flame", "hopenet": "hopenet"}
INPUTS = {"d3dfr": "images224", "deca": "images", "hopenet": "images"}


class Evil:
    """Unpickles to a call that makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture(scope="module")
def files(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files as their authors publish them, with what else is in them."""
    kit = {n: FilledStates(read_fixture(shared / "parity", f).layout) for n, f in FIXTURES.items()}
    adam = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]}
    old = {k: v for k, v in kit["hopenet"]["net"].items() if "num_batches_tracked" not in k}
    assert "fc_finetune.weight" in old
    contents: dict[str, Any] = {
        "d3dfr": {"net_recon": kit["d3dfr"]["net_recon"], "optimizer_00": adam},
        "deca": {
            "E_flame": kit["deca"]["E_flame"],
            "E_detail": {"encoder.conv1.weight": torch.ones(64, 3, 7, 7)},
            "D_detail": {"l1.0.bias": torch.zeros(4)},
            "opt": adam,
            "global_step": 7,
        },
        "hopenet": old,
    }
    folder = tmp_path_factory.mktemp("downloads")
    paths = {name: folder / weights.catalogue()[name].parts[0].file for name in NAMES}
    for name, content in contents.items():
        # HopeNet's files are from before PyTorch's zip format.
        torch.save(content, paths[name], _use_new_zipfile_serialization=name != "hopenet")
    return paths


@pytest.fixture(scope="module")
def build(
    files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Describer]:
    """The judge of a name, its weights imported by the command that its users run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANONBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        for name, file in files.items():
            done = CliRunner().invoke(app, ["weights", "import", name, str(file)])
            assert done.exit_code == 0, done.output
        judges: Mapping[str, Describer] = {
            name: registry.judges.load(name)(registry.judges.card(name), "cpu") for name in NAMES
        }
    return judges.__getitem__


@pytest.fixture(scope="module")
def images(shared: Path) -> Callable[[str], Tensor]:
    def of(name: str) -> Tensor:
        fixture = read_fixture(shared / "parity", FIXTURES[name])
        return unit(torch.from_numpy(fixture.inputs[INPUTS[name]]))

    return of


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, dict[str, Tensor]]:
    """What the original code gives, cut into traits by the kit's description of the numbers."""
    out = {n: read_fixture(shared / "parity", f).outputs for n, f in FIXTURES.items()}
    d3dfr, deca, pose = (
        torch.from_numpy(out[name][key])
        for name, key in (("d3dfr", "coeff224"), ("deca", "parameters"), ("hopenet", "degrees"))
    )
    return {
        "d3dfr": {"shape": d3dfr[:, 0:80], "expression": d3dfr[:, 80:144]},
        "deca": {"shape": deca[:, 0:100], "expression": deca[:, 150:200]},
        "hopenet": {"pose": pose * torch.tensor([-1.0, 1.0, 1.0])},
    }


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_says_what_the_authors_code_says(build, images, expected, name: str) -> None:
    judge = build(name)
    found = judge.describe(images(name))
    assert {trait: values.shape[1] for trait, values in found.items()} == judge.card.traits
    for trait, values in found.items():
        torch.testing.assert_close(values, expected[name][trait], rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_says_the_same_whatever_the_batch(build, images, name: str) -> None:
    judge = build(name)
    batch = torch.cat([images(name), images(name)[:1].flip(3)])
    together = judge.describe(batch)
    for row, image in enumerate(batch):
        for trait, values in judge.describe(image[None]).items():
            torch.testing.assert_close(together[trait][row], values[0], rtol=0, atol=1e-4)
    for trait, values in judge.describe(batch[:0]).items():
        assert values.shape == (0, judge.card.traits[trait])


@pytest.mark.parametrize("name", NAMES)
def test_cards_ask_for_crops_of_224_pixels(name: str) -> None:
    assert template(registry.judges.card(name).template).size == 224


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_not_there_are_asked_for(anonbench_home: Path, name: str) -> None:
    with pytest.raises(MissingArtefact, match=f"anonbench weights import {name}"):
        registry.judges.load(name)(registry.judges.card(name), "cpu")


@pytest.mark.parametrize(
    ("name", "other", "problem"),
    [
        ("deca", "d3dfr", "no entry 'E_flame'"),
        ("d3dfr", "deca", "no entry 'net_recon'"),
        ("hopenet", "d3dfr", "does not fit Hopenet"),
    ],
)
def test_another_models_file_is_refused(
    anonbench_home: Path, files: dict[str, Path], name: str, other: str, problem: str
) -> None:
    with pytest.raises(BadData, match=problem):
        weights.import_file(name, files[other])
    assert not weights.is_present(name)


def test_a_network_with_a_layer_cut_off_is_refused(anonbench_home: Path, tmp_path: Path) -> None:
    tensors = {"E_flame": {"layers.2.weight": torch.zeros(200, 1024)}}
    torch.save(tensors, tmp_path / "deca_model.tar")
    with pytest.raises(BadData, match=r"layers\.2\.weight \[200, 1024\] instead of \[236, 1024\]"):
        weights.import_file("deca", tmp_path / "deca_model.tar")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_a_pickle_is_run(anonbench_home: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / weights.catalogue()[name].parts[0].file
    torch.save({"net_recon": Evil(tmp_path / "ran")}, file)
    with pytest.raises(BadData):
        weights.import_file(name, file)
    assert not (tmp_path / "ran").exists()
