"""`anonbench cache`."""

import io
import json
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from anonbench.engine.store import Artefact, Row, Store

IDS = [f"{number}.png" for number in range(3)]
DAY = 86400


def fill(artefact: Artefact, size: int = 100) -> Artefact:
    artefact.write([Row(i, {"image": i.encode() * size, "v": np.zeros(4)}) for i in IDS])
    return artefact


def chain(store: Store, dataset: str, method: str) -> dict[str, Artefact]:
    """What a run stores: each artefact names only the one before, by its key."""
    where = [{"name": dataset, "version": 1, "config": {}, "weights": {}}, "0" * 64]
    faces = fill(store.artefact("faces", {"dataset": where, "detector": {"name": "dlib-hog"}}))
    published = fill(
        store.artefact("published", {"faces": faces.key, "method": {"name": method}}), 5000
    )
    seen = fill(store.artefact("faces", {"images": published.key}))
    embedded = fill(store.artefact("embeddings", {"faces": seen.key, "judge": {"name": "j"}}))
    return {"faces": faces, "published": published, "seen": seen, "embeddings": embedded}


@pytest.fixture
def store(anonbench_home: Path, monkeypatch) -> Store:
    """A store with what two datasets and two methods left."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # hundreds of them, on a busy disk
    made = Store(pytest.fail)
    chain(made, "lfw", "pixelate")
    chain(made, "orl", "blur")
    fill(made.artefact("pool", {"seed": 1}))
    return made


@pytest.fixture
def listed(anonbench, store: Store) -> Callable[[], list[dict[str, object]]]:
    return lambda: json.loads(anonbench("cache", "list", "--json").out)["artefacts"]


def stages(artefacts: list[dict[str, object]], **named: str) -> list[str]:
    chosen = (a for a in artefacts if all(value in a[name] for name, value in named.items()))
    return sorted(str(a["stage"]) for a in chosen)


def age(artefact: Artefact, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(artefact.folder / "key.json", (then, then))


def damage(artefact: Artefact) -> Path:
    (shard,) = artefact.folder.glob("*.shard")
    data = bytearray(shard.read_bytes())
    data[7] ^= 1
    shard.write_bytes(data)
    return shard


def test_list_says_what_is_there_by_dataset_and_stage(anonbench, listed, store) -> None:
    lines = anonbench("cache", "list").out.splitlines()
    assert lines[0].split() == ["dataset", "stage", "artefacts", "rows", "size", "last", "used"]
    assert [line.split()[:4] for line in lines[1:-1]] == [
        ["-", "pool", "1", "3"],
        ["lfw", "embeddings", "1", "3"],
        ["lfw", "faces", "2", "6"],
        ["lfw", "published", "1", "3"],
        ["orl", "embeddings", "1", "3"],
        ["orl", "faces", "2", "6"],
        ["orl", "published", "1", "3"],
    ]
    assert lines[-1].startswith("9 artefacts, ")
    assert str(store.root) in lines[-1]
    total = sum(file.stat().st_size for file in store.root.rglob("*") if file.is_file())
    assert sum(artefact["bytes"] for artefact in listed()) == total
    (embedded,) = (a for a in listed() if a["datasets"] == ["lfw"] and a["by"] == "j")
    assert embedded["methods"] == ["pixelate"]
    assert embedded["rows"] == 3
    each = anonbench("cache", "list", "--each").out.splitlines()
    assert len(each) == 1 + 9 + 1
    assert any(line.split()[:4] == ["lfw", "embeddings", "pixelate", "j"] for line in each)


def test_no_store_yet(anonbench, anonbench_home) -> None:
    assert anonbench("cache", "list").out.startswith("0 artefacts, 0 bytes")
    assert anonbench("cache", "verify").code == 0
    assert anonbench("cache", "prune", "--keep-under", "0MB").code == 0
    assert anonbench("cache", "purge", "--all", "--yes").code == 0


def test_opening_an_artefact_is_a_use_and_listing_is_none(store, listed) -> None:
    artefact = chain(store, "lfw", "pixelate")["published"]
    age(artefact, 40)
    for _ in range(2):
        (before,) = (a["last_used"] for a in listed() if a["key"] == artefact.key)
    chain(store, "lfw", "pixelate")
    (after,) = (a["last_used"] for a in listed() if a["key"] == artefact.key)
    assert before < after


def test_verify_drops_what_is_damaged_and_says_so(anonbench, store) -> None:
    artefacts = chain(store, "lfw", "pixelate")
    assert "9 artefacts" in anonbench("cache", "verify").out
    shard = damage(artefacts["published"])
    kept = anonbench("cache", "verify", "--keep", "--json")
    assert kept.code == 1
    (found,) = json.loads(kept.out)["damaged"]
    assert found["path"] == str(shard)
    assert shard.exists()
    done = anonbench("cache", "verify")
    assert done.code == 1
    assert f"{shard}: the checksum of" in done.out
    assert "dropped" in done.out
    assert not shard.exists()
    assert anonbench("cache", "verify").code == 0
    artefacts["published"].refresh()
    assert artefacts["published"].missing(IDS) == IDS


def test_verify_notices_a_key_that_is_not_the_folders(anonbench, store) -> None:
    artefact = chain(store, "lfw", "pixelate")["published"]
    key = artefact.folder / "key.json"
    key.write_text(key.read_text().replace("pixelate", "pixelated"))
    done = anonbench("cache", "verify")
    assert done.code == 1
    assert f"{key}: it is not the key of its folder, dropped" in done.out
    assert not artefact.folder.exists()


def old_format(store: Store) -> Path:
    folder = store.root / "faces" / "ab" / ("ab" * 32)
    folder.mkdir(parents=True)
    (folder / "key.json").write_text('{"format": 1, "dataset": [{"name": "lfw"}, "x"]}')
    (folder / "0.npz").write_bytes(b"?" * 50)
    return folder


def test_other_formats_are_left_alone_until_pruned(anonbench, store, listed) -> None:
    folder = old_format(store)
    assert "1 artefact of another format" in anonbench("cache", "verify").out
    (old,) = (a for a in listed() if a["format"] == 1)
    assert old["rows"] is None
    dry = anonbench("cache", "prune", "--dry-run").out
    assert "1 artefact of another format" in dry
    assert "would be freed" in dry
    assert folder.exists()
    assert "1 artefact of another format" in anonbench("cache", "prune").out
    assert not folder.exists()
    assert len(listed()) == 9


def test_prune_by_age_and_by_size_takes_what_was_not_used_for_longest(
    anonbench, store, listed
) -> None:
    chain(store, "orl", "blur")
    old = chain(store, "lfw", "pixelate")
    age(old["faces"], 40)
    age(old["seen"], 20)
    assert anonbench("cache", "prune", "--older-than", "30d").code == 0
    assert stages(listed(), datasets="lfw") == ["embeddings", "faces", "published"]
    size = sum(artefact["bytes"] for artefact in listed())
    anonbench("cache", "prune", "--keep-under", f"{(size - 1) / 1000}kB")
    assert stages(listed(), datasets="lfw") == ["embeddings", "published"]
    anonbench("cache", "prune", "--keep-under", "0MB")
    assert listed() == []


@pytest.mark.parametrize("wrong", ["--older-than=30x", "--keep-under=much", "--keep-under=-1GB"])
def test_sizes_and_times_that_are_none(anonbench, store, listed, wrong) -> None:
    done = anonbench("cache", "prune", wrong)
    assert done.code == 2
    assert "For example: --" in done.err
    assert len(listed()) == 9


def test_purge_takes_all_that_comes_from_a_dataset_and_nothing_else(
    anonbench, store, listed, anonbench_home, tmp_path
) -> None:
    old = old_format(store)
    (anonbench_home / "manifests").mkdir()
    kept = anonbench_home / "manifests" / "orl-0123456789abcdef.json"
    gone = anonbench_home / "manifests" / "lfw-0123456789abcdef-01234567.sha256"
    result = tmp_path / "runs" / "lfw.json"
    result.parent.mkdir()
    for file in (kept, gone, result):
        file.write_text("{}")
    done = anonbench("cache", "purge", "--dataset", "lfw", "--yes")
    assert done.code == 0
    assert "5 artefacts from lfw" in done.out
    assert stages(listed()) == ["embeddings", "faces", "faces", "pool", "published"]
    assert {name for a in listed() for name in a["datasets"]} == {"orl"}
    assert [kept.exists(), gone.exists(), result.exists(), old.exists()] == [True, 0, True, 0]
    assert not [path for path in store.root.rglob("*") if b"lfw" in bytes(path)]


def test_purge_finds_what_comes_from_a_dataset_whose_faces_are_gone(
    anonbench, store, listed
) -> None:
    age(chain(store, "lfw", "pixelate")["faces"], 40)
    anonbench("cache", "prune", "--older-than", "30d")
    anonbench("cache", "purge", "--dataset", "lfw", "--yes")
    assert stages(listed(), datasets="lfw") == []
    assert len(listed()) == 5


def test_purge_of_a_method_keeps_the_originals(anonbench, store, listed) -> None:
    done = anonbench("cache", "purge", "--method", "blur", "--yes", "--json")
    assert len(json.loads(done.out)["artefacts"]) == 3
    assert stages(listed(), datasets="orl") == ["faces"]
    assert len(stages(listed(), datasets="lfw")) == 4


def test_purge_asks(anonbench, store, listed, monkeypatch) -> None:
    refused = anonbench("cache", "purge", "--all")
    assert refused.code == 2
    assert "Delete 9 artefacts (" in refused.err
    assert "--yes" in refused.err
    for answer, left in (("n", 9), ("y", 0)):
        terminal = io.StringIO(f"{answer}\n")
        monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stdin", terminal)
        anonbench("cache", "purge", "--all")
        assert len(listed()) == left


@pytest.mark.parametrize("options", [[], ["--all", "--dataset", "lfw"]])
def test_purge_of_nothing_in_particular_is_refused(anonbench, store, listed, options) -> None:
    done = anonbench("cache", "purge", "--yes", *options)
    assert done.code == 2
    assert "--dataset lfw" in done.err
    assert len(listed()) == 9


def test_purge_of_a_name_that_is_not_there_says_what_is(anonbench, store) -> None:
    done = anonbench("cache", "purge", "--dataset", "lwf", "--yes")
    assert done.code == 0
    assert "Nothing is stored from lwf" in done.err
    assert "lfw" in done.err


def hold(started) -> None:
    with chain(Store(pytest.fail), "lfw", "pixelate")["published"].lock():
        started.set()
        time.sleep(60)


def test_purge_leaves_and_names_what_another_process_computes(anonbench, store, listed) -> None:
    context = get_context("spawn")
    started = context.Event()
    process = context.Process(target=hold, args=(started,))
    process.start()
    try:
        assert started.wait(60)
        done = anonbench("cache", "purge", "--dataset", "lfw", "--yes")
    finally:
        process.kill()
        process.join()
    assert done.code == 1
    assert "another process computes it: published" in done.err
    assert stages(listed(), datasets="lfw") == ["published"]
    assert anonbench("cache", "purge", "--dataset", "lfw", "--yes").code == 0
    assert stages(listed(), datasets="lfw") == []


def test_a_store_that_cannot_be_read_is_one_clear_error(anonbench, store, monkeypatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "iterdir", fail)
    done = anonbench("cache", "list")
    assert done.code == 3
    assert "cannot be read: Input/output error" in done.err
