"""Disks that fill up, vanish or fail, and memory that runs out, in the middle of a run."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import toybench
from PIL import ImageFile

from anonbench.engine import execute
from anonbench.errors import StoreError, UserError
from anonbench.results.store import load_scores


def same_scores(left, right) -> bool:
    a, b = (load_scores(outcome.path)["toy-recogniser"] for outcome in (left, right))
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def temporary_files(*folders: Path) -> list[Path]:
    every = [path for folder in folders for path in folder.rglob("*")]
    return [path for path in every if path.name.startswith(".tmp-") or path.suffix == ".tmp"]


def test_a_disk_that_is_full_at_every_sixth_write_spoils_nothing(
    toy_run, count, tmp_path: Path, anonbench_home: Path, monkeypatch
) -> None:
    (reference,) = toy_run(output=tmp_path / "reference")
    shutil.rmtree(anonbench_home)
    whole = count()
    monkeypatch.setattr(execute, "SHARD_ROWS", 16)
    sync, written = os.fsync, []

    def full(file: int) -> None:
        written.append(file)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(40):
        written.clear()
        (outcome,) = toy_run(batch_size=4)
        assert temporary_files(tmp_path) == []
        if not outcome.error:
            break
        assert isinstance(outcome.error, StoreError)
        assert "No space left on device" in outcome.error.what
        assert "Free some space" in outcome.error.mend
    assert outcome.result.status == "complete"
    assert same_scores(reference, outcome)
    assert count()["detected"] >= whole["detected"]


def test_a_disk_error_ends_the_run_once_for_all_jobs(toy_run, monkeypatch) -> None:
    def read_only(*_: object, **__: object) -> tuple[int, str]:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    outcomes = toy_run(methods=("toy-same", "blackout"))
    assert len({str(outcome.error) for outcome in outcomes}) == 1
    assert "Read-only file system" in outcomes[0].error.what
    assert "set ANONBENCH_HOME to a folder that can be written" in outcomes[0].error.mend


@pytest.mark.parametrize("remains", ["an empty folder", "nothing"])
def test_a_dataset_that_vanishes_is_not_a_fault_of_its_images(
    toy_run, people: Path, tmp_path: Path, monkeypatch, remains: str
) -> None:
    seen = []
    detect = toybench.Detector.detect

    def unplugged(self, image, upsample=1):
        seen.append(1)
        if len(seen) == 20:
            people.rename(tmp_path / "unplugged")
            if remains == "an empty folder":
                people.mkdir()
        return detect(self, image, upsample)

    monkeypatch.setattr(toybench.Detector, "detect", unplugged)
    outcomes = toy_run(methods=("toy-same", "blackout"), batch_size=4)
    assert len({str(outcome.error) for outcome in outcomes}) == 1
    assert isinstance(outcomes[0].error, StoreError)
    assert "it has vanished" in outcomes[0].error.what
    assert "mount" in outcomes[0].error.mend
    if remains == "an empty folder":
        people.rmdir()
    (tmp_path / "unplugged").rename(people)
    same, _ = toy_run(methods=("toy-same", "blackout"), batch_size=4)
    assert same.result.status == "complete"
    assert len(seen) <= 20 + (48 - 16) + 36 + 36 + 4


def test_an_image_on_a_bad_sector_stops_the_run_and_is_not_counted_as_broken(
    toy_run, monkeypatch
) -> None:
    load, reads = ImageFile.ImageFile.load, []

    def fail(self):
        reads.append(1)
        if len(reads) == 20:
            raise OSError(errno.EIO, "Input/output error")
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    (outcome,) = toy_run()
    assert isinstance(outcome.error, StoreError)
    assert ".png cannot be read: Input/output error" in outcome.error.what
    (outcome,) = toy_run()
    assert outcome.result.status == "complete"


OUT_OF_MEMORY = [
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    torch.OutOfMemoryError("CUDA out of memory."),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_a_batch_that_does_not_fit_is_halved_and_the_result_says_so(
    toy_run, tmp_path: Path, monkeypatch, error: Exception
) -> None:
    (reference,) = toy_run(methods=("toy-tint",))
    anonymize, sizes = toybench.Tint.anonymize, []

    def tight(self, faces, keys):
        sizes.append(len(faces))
        if len(faces) > 5:
            raise error
        return anonymize(self, faces, keys)

    monkeypatch.setattr(toybench.Tint, "anonymize", tight)
    (outcome,) = toy_run(
        methods=("toy-tint",), overwrite="always", output=tmp_path / "tight", batch_size=16
    )
    assert same_scores(reference, outcome)
    assert [warning for warning in outcome.result.warnings if "halved" in warning] == [
        "Memory ran out during 'anonymize with toy-tint' with 16 images at a time; its batches "
        "are halved, which may change the last digits of its numbers."
    ]
    assert sizes[:3] == [16, 8, 4]
    assert max(sizes[3:]) <= 5


@pytest.mark.parametrize(
    ("owner", "name"), [(toybench.Tint, "anonymize"), (toybench.Detector, "detect")]
)
def test_one_image_that_does_not_fit_is_a_clear_error(toy_run, monkeypatch, owner, name) -> None:
    def never(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(owner, name, never)
    (outcome,) = toy_run(methods=("toy-tint",))
    assert isinstance(outcome.error, UserError)
    assert "not enough memory for one image at a time" in outcome.error.what


@pytest.mark.parametrize("harm", ["gone", "cut off"])
def test_scores_that_are_lost_are_made_again_from_the_store(
    toy_run, count, caplog, harm: str
) -> None:
    (first,) = toy_run()
    before = {
        name: array.copy() for name, array in load_scores(first.path)["toy-recogniser"].items()
    }
    count()
    path = first.path.parent / first.result.scores
    data = path.read_bytes()
    path.unlink()
    if harm == "cut off":
        path.write_bytes(data[: len(data) // 2])
    (again,) = toy_run()
    assert again.computed
    assert count() == {}
    assert "computed again" in caplog.text
    assert path.read_bytes() == data
    assert all(
        np.array_equal(before[k], v) for k, v in load_scores(again.path)["toy-recogniser"].items()
    )


def test_a_flipped_byte_in_scores_is_told_with_what_mends_it(toy_run) -> None:
    (outcome,) = toy_run()
    path = outcome.path.parent / outcome.result.scores
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(StoreError, match="cannot be read") as told:
        load_scores(outcome.path)
    assert f"Delete {outcome.path}" in told.value.mend
