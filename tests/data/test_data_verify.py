"""`anonbench data verify` names what is missing, extra or damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anonbench.cli.app import app

Verify = Callable[..., tuple[int, str]]
IMAGE = "lfw/lfw-deepfunneled/Bob/Bob_0002.jpg"
pytestmark = pytest.mark.usefixtures("anonbench_home")


@pytest.fixture
def verify(make_lfw: Callable[..., Path]) -> Verify:
    """Runs the command on a small LFW; returns exit status and output."""
    root = make_lfw()

    def run(*options: str) -> tuple[int, str]:
        command = ["data", "verify", "lfw", "--data-root", str(root), *options]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        return result.exit_code, result.stdout

    return run


@pytest.fixture
def root(verify: Verify, tmp_path: Path) -> Path:
    return tmp_path / "data"


def document(verify: Verify, *options: str) -> dict[str, object]:
    status, output = verify("--json", *options)
    found: dict[str, object] = json.loads(output)
    assert status == (0 if found["ok"] else 1)
    return found


def test_sound_dataset(verify: Verify) -> None:
    status, output = verify()
    assert status == 0
    assert "8 images (official: 13,233)" in output
    assert "4 people (official: 5,749)" in output


def test_first_check_is_what_later_ones_compare_with(verify: Verify, root: Path) -> None:
    assert document(verify)["compared_with"] is None
    again = document(verify)
    assert again["ok"] and again["compared_with"]
    folder = root / "lfw/lfw-deepfunneled"
    (root / IMAGE).rename(folder / "Bob" / "Bob_0003.jpg")
    other = folder / "Cid" / "Cid_0001.jpg"
    other.write_bytes((folder / "Cid" / "Cid_0002.jpg").read_bytes())
    found = document(verify)
    assert found["missing"] == {"Bob/Bob_0002.jpg": "recorded manifest"}
    assert found["extra"] == ["Bob/Bob_0003.jpg"]
    assert isinstance(found["damaged"], dict) and list(found["damaged"]) == ["Cid/Cid_0001.jpg"]


def test_damage_is_seen_though_size_and_time_are_unchanged(verify: Verify, root: Path) -> None:
    """A manifest from the cache would not notice a disk that rots."""
    verify()
    before = (root / IMAGE).stat()
    data = bytearray((root / IMAGE).read_bytes())
    data[-10] ^= 1
    (root / IMAGE).write_bytes(data)
    os.utime(root / IMAGE, ns=(before.st_atime_ns, before.st_mtime_ns))
    status, output = verify()
    assert status == 1 and "damaged: 1" in output and "Bob/Bob_0002.jpg" in output


def test_image_that_does_not_decode(verify: Verify, root: Path) -> None:
    data = (root / IMAGE).read_bytes()
    (root / IMAGE).write_bytes(data[: len(data) // 2])
    found = document(verify)
    assert isinstance(found["damaged"], dict)
    assert "cut off" in found["damaged"]["Bob/Bob_0002.jpg"]
    assert found["recorded_in"] is None, "a damaged copy must not become the yardstick"


def test_image_that_the_pairs_name(verify: Verify, root: Path) -> None:
    (root / IMAGE.replace("0002", "0001")).unlink()
    assert document(verify)["missing"] == {"Bob/Bob_0001.jpg": "pairs.txt, line 3"}


def test_broken_pairs_file_does_not_stop_the_check(verify: Verify, root: Path) -> None:
    (root / "lfw/pairs.txt").write_text("2\t1\nAnn_A\t1\t2\n")
    (root / IMAGE).write_bytes(b"")
    found = document(verify)
    assert isinstance(found["damaged"], dict)
    assert "header announces" in found["damaged"]["pairs"]
    assert "0 bytes" in found["damaged"]["Bob/Bob_0002.jpg"]


def test_record_and_compare_with_a_file(verify: Verify, root: Path, tmp_path: Path) -> None:
    record = tmp_path / "lfw.sha256"
    assert document(verify, "--record", str(record))["ok"]
    assert document(verify, "--manifest", str(record))["compared_with"] == str(record)
    (root / IMAGE).unlink()
    assert not document(verify, "--manifest", str(record))["ok"]
    assert document(verify, "--record", str(record))["ok"], "recording accepts what is there"
    assert document(verify, "--manifest", str(record))["ok"]


def test_files_that_do_not_belong_are_no_problem(verify: Verify, root: Path) -> None:
    (root / "lfw/lfw-deepfunneled/Thumbs.db").touch()
    found = document(verify)
    assert found["ok"] and found["ignored"] == ["Thumbs.db"]
