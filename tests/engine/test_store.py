"""The artefact store."""

import json
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from anonbench.engine.store import DamagedShard, Row, Store, content_key
from anonbench.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(warn=lambda text: pytest.fail(text), root=tmp_path / "store")


def rows(*names: str) -> list[Row]:
    return [
        Row(n, {"v": np.full(3, i, np.float32), "b": n.encode() * i}) for i, n in enumerate(names)
    ]


def test_rows_come_back_as_they_were_in_any_order(store: Store) -> None:
    artefact = store.artefact("stage", {"a": 1})
    artefact.write(rows("x", "y"))
    artefact.write(rows("z"))
    back = list(store.artefact("stage", {"a": 1}).read(["z", "y", "x"]))
    assert [row.id for row in back] == ["z", "y", "x"]
    assert back[1]["b"] == b"y"
    assert back[2]["b"] == b""
    assert np.array_equal(back[1]["v"], [1, 1, 1])


def test_one_column_can_be_read_alone(store: Store) -> None:
    artefact = store.artefact("stage", {})
    artefact.write(rows("x", "y"))
    (row,) = artefact.read(["y"], only="v")
    assert list(row) == ["v"]
    assert np.array_equal(row["v"], [1, 1, 1])


def test_failures_are_remembered_and_not_missing(store: Store) -> None:
    artefact = store.artefact("stage", {})
    artefact.write([Row("bad", error="truncated"), *rows("good")])
    assert artefact.missing(["bad", "good", "new"]) == ["new"]
    assert artefact.failed(["bad", "good"]) == {"bad": "truncated"}
    assert [row.id for row in artefact.read(["good"])] == ["good"]


def test_a_shard_of_failures_only(store: Store) -> None:
    store.artefact("stage", {}).write([Row("bad", error="empty file")])
    assert store.artefact("stage", {}).failed(["bad"]) == {"bad": "empty file"}


def test_keys_are_content_whatever_the_order(store: Store) -> None:
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})
    folder = store.artefact("stage", {"seed": 7}).folder
    assert json.loads((folder / "key.json").read_text())["seed"] == 7


def test_folders_are_private(store: Store) -> None:
    artefact = store.artefact("stage", {})
    artefact.write(rows("x"))
    for folder in (artefact.folder, *artefact.folder.parents[:3]):
        assert folder.stat().st_mode & 0o077 == 0, folder
    assert next(artefact.folder.glob("*.shard")).stat().st_mode & 0o077 == 0


def test_a_truncated_shard_is_dropped_with_a_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    store = Store(warnings.append, tmp_path)
    artefact = store.artefact("stage", {})
    artefact.write(rows("x", "y"))
    shard = next(artefact.folder.glob("*.shard"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert store.artefact("stage", {}).missing(["x", "y"]) == ["x", "y"]
    assert len(warnings) == 1
    assert "damaged" in warnings[0]


@pytest.mark.parametrize("harm", [lambda f: f.write_bytes(f.read_bytes()[:9]), Path.unlink])
def test_a_shard_that_is_damaged_or_gone_when_read_is_dropped(tmp_path: Path, harm) -> None:
    warnings: list[str] = []
    artefact = Store(warnings.append, tmp_path).artefact("stage", {})
    artefact.write(rows("x", "y"))
    (shard,) = artefact.folder.glob("*.shard")
    artefact.write(rows("z"))
    harm(shard)
    with pytest.raises(DamagedShard) as caught:
        list(artefact.read(["z", "x"]))
    assert caught.value.shard == shard
    assert not shard.exists()
    assert artefact.missing(["x", "y", "z"]) == ["x", "y"]
    assert len(warnings) == 1


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(print, tmp_path / "file").artefact("stage", {})


def _hold(root: Path, started, release) -> None:
    artefact = Store(print, root).artefact("stage", {})
    with artefact.lock():
        started.set()
        release.wait(60)
        artefact.write(rows("x"))


def test_a_second_process_waits_and_finds_the_rows(tmp_path: Path) -> None:
    context = get_context("spawn")
    started, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, started, release))
    process.start()
    assert started.wait(60)
    warnings: list[str] = []

    def warn(text: str) -> None:
        warnings.append(text)
        release.set()

    artefact = Store(warn, tmp_path).artefact("stage", {})
    with artefact.lock():
        assert artefact.missing(["x"]) == []
    process.join()
    assert "waiting" in warnings[0]
