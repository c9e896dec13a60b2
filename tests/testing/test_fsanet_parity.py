"""Parity on a publisher's own files, which are in the cache or in `weights` beside the fixtures."""

import shutil
from pathlib import Path

import pytest

from anonbench.testing.parity import Outcome, check_parity


@pytest.fixture
def kit(shared: Path, tmp_path: Path, anonbench_home: Path) -> Path:
    """A copy of the fixtures without anything beside it."""
    folder = tmp_path / "parity"
    folder.mkdir()
    for suffix in ("json", "npz"):
        shutil.copy(shared / "parity" / f"fsanet.{suffix}", folder)
    return folder


def check(kit: Path) -> Outcome:
    return check_parity(kit, "fsanet")


def test_both_networks_and_their_mean_are_the_authors(kit: Path, shared: Path) -> None:
    shutil.copytree(shared / "weights" / "fsanet", kit.parent / "weights" / "fsanet")
    outcome = check(kit)
    assert outcome.verdict == "passed", outcome.problem
    assert {c.output for c in outcome.comparisons} == {"angles", "angles_1x1", "angles_var"}
    assert outcome.worst.error < 1e-4


def test_files_in_the_cache_will_do(kit: Path, shared: Path) -> None:
    from anonbench import weights

    folder = shared / "weights" / "fsanet"
    weights.fetch(["fsanet-1x1", "fsanet-var"], offline=True, source_dir=folder)
    assert check(kit).verdict == "passed"


def test_files_that_are_nowhere_are_asked_for(kit: Path) -> None:
    outcome = check(kit)
    assert outcome.verdict == "failed"
    assert "anonbench fetch fsanet-1x1" in outcome.problem


def test_a_file_that_only_has_the_name_is_not_used(kit: Path, shared: Path) -> None:
    folder = kit.parent / "weights"
    shutil.copytree(shared / "weights" / "fsanet", folder)
    shutil.copy(folder / "fsanet-1x1-iter-688590.onnx", folder / "fsanet-var-iter-688590.onnx")
    outcome = check(kit)
    assert outcome.verdict == "failed"
    assert "anonbench fetch fsanet-var" in outcome.problem
