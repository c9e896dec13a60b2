"""The store with several processes at once, some of them killed."""

import errno
import fcntl
import os
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from anonbench.engine import caching
from anonbench.engine.shards import is_shard
from anonbench.engine.store import Artefact, Row, Store

IDS = [f"{number:03d}" for number in range(120)]
SHARDS = [IDS[start : start + 6] for start in range(0, len(IDS), 6)]


def artefact_in(root: Path) -> Artefact:
    return Store(pytest.fail, root).artefact("stage", {})


def row(name: str) -> Row:
    return Row(name, {"n": np.array(int(name)), "image": name.encode() * 5000})


def write_all(root: Path, backwards: bool, started, hold_at: int | None) -> None:
    """Write all shards; before one of them reaches the disk, stop for ever."""
    artefact = artefact_in(root)
    fsync = os.fsync
    for number, ids in enumerate(reversed(SHARDS) if backwards else SHARDS):
        if number == hold_at:
            os.fsync = lambda handle: (started.set(), time.sleep(60))  # type: ignore[assignment]
        artefact.write([row(name) for name in ids])
        os.fsync = fsync
    started.set()


def test_two_writers_of_the_same_rows_of_whom_one_is_killed_in_the_middle(tmp_path) -> None:
    context = get_context("spawn")
    root, halfway, done = tmp_path / "store", context.Event(), context.Event()
    artefact_in(root)
    killed = context.Process(target=write_all, args=(root, True, halfway, 12))
    survivor = context.Process(target=write_all, args=(root, False, done, None))
    killed.start()
    survivor.start()
    assert halfway.wait(60)
    killed.kill()
    killed.join()
    survivor.join(60)
    assert (killed.exitcode, survivor.exitcode) == (-9, 0)
    artefact = artefact_in(root)
    assert artefact.missing(IDS) == []
    assert [int(one["n"]) for one in artefact.read(IDS)] == list(range(len(IDS)))
    assert len(list(filter(is_shard, artefact.folder.iterdir()))) == len(SHARDS)
    assert_left_over_is_pruned(root)


def assert_left_over_is_pruned(root: Path) -> None:
    """What the killed process was writing is there, and goes once it is surely nobody's."""
    (left,) = root.rglob(".tmp-*")
    assert caching.prune(root).files == []
    hour_ago = time.time() - caching.ABANDONED_SECONDS - 1
    os.utime(left, (hour_ago, hour_ago))
    assert caching.prune(root, dry_run=True).files == [left]
    assert caching.prune(root).files == [left]
    assert not left.exists()
    assert artefact_in(root).missing(IDS) == []


def hold(root: Path, started) -> None:
    with artefact_in(root).lock():
        started.set()
        time.sleep(60)


def test_a_killed_process_holds_no_lock_and_a_living_one_is_left_alone(tmp_path) -> None:
    context = get_context("spawn")
    started = context.Event()
    artefact = artefact_in(tmp_path)
    artefact.write([row("001")])
    (entry,) = caching.inventory(tmp_path)
    process = context.Process(target=hold, args=(tmp_path, started))
    process.start()
    assert started.wait(60)
    assert caching.purge([entry], "all").busy == [entry]
    assert [one.key for one in caching.prune(tmp_path, older_than=0).busy] == [entry.key]
    assert artefact_in(tmp_path).missing(["001"]) == []
    process.kill()
    process.join()
    with artefact.lock():  # would warn, which fails, if it had to wait
        assert artefact.missing(["001"]) == []
    assert caching.purge([entry], "all").artefacts == [(entry, "all")]
    assert list(tmp_path.iterdir()) == []


def test_an_artefact_purged_before_it_is_locked_is_made_anew(tmp_path) -> None:
    artefact = artefact_in(tmp_path)
    artefact.write([row("001")])
    caching.purge(caching.inventory(tmp_path), "all")
    with artefact.lock():
        assert artefact.missing(["001"]) == ["001"]
        artefact.write([row("001")])
    (entry,) = caching.inventory(tmp_path)
    assert entry.rows == 1
    assert entry.readable


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_nobody_waits_and_nothing_breaks(tmp_path, monkeypatch, error) -> None:
    def flock(handle: int, how: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", flock)
    first, second = artefact_in(tmp_path), artefact_in(tmp_path)
    with first.lock(), second.lock():
        first.write([row("001"), row("002")])
        second.write([row("002"), row("003")])
    opened = artefact_in(tmp_path)
    assert [int(one["n"]) for one in opened.read(["001", "002", "003"])] == [1, 2, 3]
