"""The store on disks that are full, read-only, away, or somebody else's."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from anonbench.engine.store import Artefact, Row, Store
from anonbench.errors import StoreError

FAULTS = {
    errno.ENOSPC: "cache prune",
    errno.EDQUOT: "cache prune",
    errno.EROFS: "ANONBENCH_HOME",
    errno.EACCES: "ls -ld",
    errno.EIO: "df",
    errno.ESTALE: "df",
}


def row(name: str, size: int = 8) -> Row:
    return Row(name, {"b": name.encode() * size})


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    """An artefact with one row, `x`."""
    made = Store(pytest.fail, tmp_path / "store").artefact("stage", {})
    made.write([row("x")])
    return made


def failing(error: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    return fail


def assert_as_before(artefact: Artefact) -> None:
    """Nothing is half-written, and what was there still is."""
    assert not list(artefact.folder.glob(".tmp-*"))
    for opened in (artefact, Store(pytest.fail, artefact.folder.parents[2]).artefact("stage", {})):
        assert opened.missing(["x", "y"]) == ["y"]
        assert [one["b"] for one in opened.read(["x"])] == [b"x" * 8]


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
@pytest.mark.parametrize("error", FAULTS)
def test_a_write_that_fails_leaves_nothing_and_says_why(artefact, monkeypatch, call, error) -> None:
    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(Path, "open", failing(error))
        else:
            patch.setattr(os, call, failing(error))
        with pytest.raises(StoreError, match="cannot be written") as caught:
            artefact.write([row("y")])
    assert os.strerror(error) in caught.value.what
    assert "kept" in caught.value.why
    assert FAULTS[error] in caught.value.mend
    assert_as_before(artefact)
    artefact.write([row("y")])
    assert artefact.missing(["x", "y"]) == []


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_read_that_fails_deletes_nothing_and_says_why(artefact, monkeypatch, error) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing(error))
        with pytest.raises(StoreError, match="cannot be read") as caught:
            list(artefact.read(["x"]))
        patch.undo()
        patch.setattr(Path, "iterdir", failing(error))
        with pytest.raises(StoreError, match="cannot be read"):
            artefact.refresh()
    assert FAULTS[error] in caught.value.mend
    assert_as_before(artefact)


def test_a_store_that_vanishes_is_not_made_anew_in_its_place(artefact, tmp_path) -> None:
    store, away = tmp_path / "store", tmp_path / "away"
    store.rename(away)
    with pytest.raises(StoreError, match="cannot be read: it has vanished"):
        list(artefact.read(["x"]))
    with pytest.raises(StoreError, match="it has vanished"):
        artefact.write([row("y")])
    with pytest.raises(StoreError, match="it has vanished"), artefact.lock():
        pass
    assert not store.exists()
    away.rename(store)
    assert_as_before(artefact)


def test_an_artefact_that_vanishes_while_it_is_computed(artefact) -> None:
    with artefact.lock():
        shutil.rmtree(artefact.folder)
        with pytest.raises(StoreError, match="it has vanished"):
            artefact.write([row("y")])
    assert not artefact.folder.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MB, to be filled and mounted read-only."""
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk) -> None:
    artefact = Store(pytest.fail, small_disk / "store").artefact("stage", {})
    artefact.write([row("x")])
    with pytest.raises(StoreError, match="No space left"):
        artefact.write([row("y", 2_000_000)])
    assert_as_before(artefact)
    with pytest.raises(StoreError, match="No space left"):
        for number in range(100):
            artefact.write([row(f"more {number}", 30_000)])
    assert_as_before(artefact)


def test_a_store_that_is_really_read_only_can_still_be_read(small_disk) -> None:
    artefact = Store(pytest.fail, small_disk / "store").artefact("stage", {})
    artefact.write([row("x")])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    store = Store(pytest.fail, small_disk / "store")
    opened = store.artefact("stage", {})
    with opened.lock():
        assert [one.id for one in opened.read(["x"])] == ["x"]
        with pytest.raises(StoreError, match="Read-only"):
            opened.write([row("y")])
    with pytest.raises(StoreError, match="Read-only"):
        opened.forget()
    with pytest.raises(StoreError, match="Read-only"):
        store.artefact("another", {})
    assert_as_before(opened)


def test_a_damaged_shard_that_cannot_be_deleted_is_no_endless_loop(artefact, monkeypatch) -> None:
    (shard,) = artefact.folder.glob("*.shard")
    shard.write_bytes(b"?" + shard.read_bytes()[1:])
    opened = Store(lambda text: None, artefact.folder.parents[2]).artefact("stage", {})
    monkeypatch.setattr(os, "unlink", failing(errno.EROFS))
    with pytest.raises(StoreError, match="cannot be deleted"):
        list(opened.read(["x"]))


def modes(root: Path) -> dict[str, int]:
    return {str(path): stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}


def test_everything_is_the_users_alone(tmp_path, monkeypatch) -> None:
    before = os.umask(0o000)
    try:
        artefact = Store(pytest.fail, tmp_path / "store").artefact("stage", {})
        with artefact.lock():
            artefact.write([Row("x", {"v": np.zeros(3)})])
    finally:
        os.umask(before)
    for path, mode in modes(tmp_path / "store").items():
        assert mode == (0o700 if Path(path).is_dir() else 0o600), path


def test_a_folder_that_was_open_to_others_is_closed_and_said(tmp_path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o755)
    said: list[str] = []
    Store(said.append, tmp_path / "store")
    assert modes(tmp_path / "store") == {str(tmp_path / "store"): 0o700}
    (sentence,) = said
    assert "mode 755" in sentence
    Store(pytest.fail, tmp_path / "store")
