"""Reversible methods from the command line to the table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def anonbench(tmp_path: Path):
    """Runs the command with the toy plug-ins and an empty cache."""
    environment = {
        **os.environ,
        "ANONBENCH_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT / "tests" / "toybench"),
        "COLUMNS": "200",
    }

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "anonbench", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def rows(text: str, word: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if word in line]


def test_all_protocols_then_tables(anonbench, people: Path) -> None:
    shown = anonbench(
        *("run", "--method", "toy-vault:flip=63,blackout", "--detector", "toy-detector"),
        *(
            "--protocol",
            "lfw-tar:far=0.05:bootstrap=100,recovery:bootstrap=100,password:bootstrap=100",
        ),
        *("--dataset", "folder:folds=4:pairs=40", "--judge", "toy-recogniser,toy-perceptual"),
        *("--data-root", str(people), "--device", "cpu"),
    )
    assert ["toy-recogniser", "tar_recovered", "1.0000", "0.0000"] in [
        row[:4] for row in rows(shown, "tar_recovered")
    ]
    assert "n/a (not reversible)" in shown
    assert "n/a (hides no bits)" in shown
    assert rows(shown, "bit-error-rate")[0][1] == f"{1 / 64:.4f}"

    pairs = anonbench("table", "runs", "--protocol", "lfw-tar", "--no-published")
    assert "TAR" in pairs
    assert "recovered TAR" in pairs
    assert rows(pairs, "Blackout")[0][-2:] == ["n/a", "a"]
    assert "a not reversible" in pairs
    recovery = anonbench("table", "runs", "--protocol", "recovery", "--format", "markdown")
    for heading in ("MAE ↓", "PSNR ↑", "SSIM ↑", "LPIPS, Mean difference ↓"):
        assert heading in recovery
    password = json.loads(anonbench("info", "password", "--json"))["protocols"]
    assert password["requires"] == ["hidden_bits"]
    assert f"{1 / 64:.4f}" in anonbench("table", "runs", "--protocol", "password")


def test_methods_that_cannot_be_undone_have_a_table_without_the_column(
    anonbench, people: Path
) -> None:
    anonbench(
        *("run", "--method", "blackout", "--detector", "toy-detector", "--device", "cpu"),
        *("--protocol", "lfw-tar:far=0.05:bootstrap=100", "--judge", "toy-recogniser"),
        *("--dataset", "folder:folds=4:pairs=40", "--data-root", str(people)),
    )
    assert "recovered" not in anonbench("table", "runs", "--no-published")
    asked = anonbench("table", "runs", "--no-published", "--metric", "tar,tar_recovered")
    assert rows(asked, "Blackout")[0][-2:] == ["n/a", "a"]
