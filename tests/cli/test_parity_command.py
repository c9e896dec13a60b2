"""`anonbench parity` as a user calls it."""

import json
import subprocess
import sys
from pathlib import Path

import parity_world as world
import pytest
from typer.testing import CliRunner

from anonbench.cli.app import app
from anonbench.errors import BadData, UnknownName


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fixtures of a model with an adapter and of one without."""
    world.install_adapters(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    folder = tmp_path / "fixtures"
    world.write_fixture(folder)
    world.write_fixture(
        folder, "stranger", change_layout=lambda layout: layout.update(model="stranger")
    )
    return folder


def call(*arguments: object):
    return CliRunner().invoke(app, ["parity", *map(str, arguments)])


def test_prints_what_was_compared(folder: Path) -> None:
    result = call(folder)
    assert result.exit_code == 0, result.output
    row = next(line.split() for line in result.stdout.splitlines() if line.startswith("tiny"))
    assert row[1] == "3/3"
    assert row[-1] == "passed"
    assert "not implemented: stranger" in result.stdout


def spoil(outputs) -> None:
    outputs["odd"][0, 0] += 0.01


def test_a_wrong_output_is_named_and_exits_with_1(folder: Path) -> None:
    world.write_fixture(folder, change_outputs=spoil)
    result = call(folder)
    assert result.exit_code == 1
    assert "tiny: odd: max error" in result.stdout
    assert "tiny: y:" not in result.stdout


def test_json_holds_every_output(folder: Path) -> None:
    world.write_fixture(folder, change_outputs=spoil)
    result = call(folder, "--json")
    assert result.exit_code == 1
    stranger, tiny = json.loads(result.stdout)["models"]
    assert (stranger["verdict"], tiny["verdict"]) == ("not implemented", "failed")
    by_name = {output["name"]: output for output in tiny["outputs"]}
    assert {name: output["passed"] for name, output in by_name.items()} == {
        "y": True,
        "odd": False,
        "sign": True,
    }
    assert by_name["odd"]["max_error"] > by_name["odd"]["tolerance"] == 1e-4
    assert by_name["sign"]["tolerance"] == "exact"


def test_a_model_that_cannot_be_checked_does_not_stop_the_others(folder: Path) -> None:
    (folder / "broken.npz").write_bytes(b"")
    result = call(folder)
    assert result.exit_code == 1
    assert "broken.json cannot be read" in result.stdout
    assert "3/3" in result.stdout


def test_a_missing_network_is_a_miss_only_where_it_is_asked_for(folder: Path) -> None:
    assert call(folder, "--model", "tiny").exit_code == 0
    assert call(folder, "--model", "tiny", "--model", "stranger").exit_code == 1


def test_a_model_that_the_folder_lacks(folder: Path) -> None:
    result = call(folder, "--model", "tinny")
    assert isinstance(result.exception, UnknownName)
    assert "Did you mean tiny?" in str(result.exception)


def test_a_folder_without_fixtures(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("[]")
    for folder in (tmp_path, tmp_path / "gone"):
        assert isinstance(call(folder).exception, BadData)


def test_help_does_not_import_torch() -> None:
    code = "import sys, anonbench.cli.parity; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
