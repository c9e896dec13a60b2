"""`anonbench run` prints what a method says about its images."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anonbench.cli.app import app


@pytest.mark.usefixtures("anonbench_home")
def test_a_run_prints_remarks_and_stores_them(people: Path, tmp_path: Path) -> None:
    command = ["run", "--method", "toy-rounder", "--protocol", "password:bootstrap=100"]
    command += ["--dataset", "folder:folds=4:pairs=40", "--data-root", str(people)]
    command += ["--detector", "toy-detector", "--output", str(tmp_path / "runs")]
    command += ["--device", "cpu", "--workers", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    (file,) = (tmp_path / "runs").rglob("*.json")
    brightness, bright = json.loads(file.read_text())["remarks"]
    text = " ".join(done.output.split())
    assert (
        f"toy-rounder: bright {bright['mean']:.1%} of 36 images (1 where that is more than a half)"
    ) in text
    assert (
        f"toy-rounder: brightness {brightness['mean']:.4g} on average of 36 images, 95 % of them"
        in text
    )
