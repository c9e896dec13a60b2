"""The store against flipped bytes: nothing that was not written ever comes out of it."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anonbench.engine import shards
from anonbench.engine.store import Artefact, DamagedShard, Row, Store


def rows(*names: str) -> list[Row]:
    made = [
        Row(name, {"face": np.eye(3) * i, "found": np.array(True), "image": name.encode() * 9})
        for i, name in enumerate(names)
    ]
    return [*made, Row("bad", error="no image")]


def content(artefact: Artefact, ids: list[str]) -> list[dict[str, object]]:
    return [
        {k: v if isinstance(v, bytes) else v.tolist() for k, v in r.items()}
        for r in artefact.read(ids)
    ]


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def reopen(tmp_path: Path, warned: list[str]) -> Callable[[], Artefact]:
    return lambda: Store(warned.append, tmp_path / "store").artefact("stage", {})


def flip(path: Path, place: int) -> None:
    """Flip one bit, in place."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << place % 8]))


def test_every_flipped_byte_is_found_at_open_or_read(reopen, warned) -> None:
    reopen().write(rows("x", "y"))
    (shard,) = reopen().folder.glob("*.shard")
    sound = shard.read_bytes()
    for place in range(len(sound)):
        shard.write_bytes(sound)
        flip(shard, place)
        artefact = reopen()
        if not artefact.missing(["x", "y", "bad"]):
            with pytest.raises(DamagedShard):
                content(artefact, ["x", "y"])
        assert artefact.missing(["x", "y", "bad"]) == ["x", "y", "bad"], place
        assert not shard.exists()
        assert len(warned) == place + 1
        assert "is damaged" in warned[-1]


def test_bytes_that_flip_after_opening_are_found_or_not_used(reopen) -> None:
    reopen().write(rows("x", "y"))
    (shard,) = reopen().folder.glob("*.shard")
    sound, expected = shard.read_bytes(), content(reopen(), ["y", "x"])
    found = 0
    for place in range(len(sound)):
        artefact = reopen()
        flip(shard, place)
        try:
            assert content(artefact, ["y", "x"]) == expected
            flip(shard, place)
        except DamagedShard:
            found += 1
            shard.write_bytes(sound)
    assert found == 2 * (72 + 1 + 9)  # a byte of a cell each; the index is in memory by now


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 17, 200])
def test_a_shard_that_is_cut_short_is_dropped(reopen, warned, cut) -> None:
    reopen().write(rows("x"))
    (shard,) = reopen().folder.glob("*.shard")
    shard.write_bytes(shard.read_bytes()[:cut])
    assert reopen().missing(["x"]) == ["x"]
    assert not shard.exists()
    assert len(warned) == 1


def test_opening_does_not_read_the_rows(reopen, warned, monkeypatch) -> None:
    reopen().write(rows("x"))
    monkeypatch.setattr(shards.Shard, "_cell", lambda *_: pytest.fail("read a row"))
    assert reopen().missing(["x"]) == []


def test_only_the_damaged_rows_shard_is_lost_and_only_it_is_read_again(reopen, warned) -> None:
    reopen().write(rows("x", "y"))
    (first,) = reopen().folder.glob("*.shard")
    artefact = reopen()
    artefact.write(rows("z"))
    flip(first, 3)
    assert [row.id for row in artefact.read(["y", "z"])] == ["y", "z"]
    with pytest.raises(DamagedShard) as caught:
        list(artefact.read(["z", "x"]))
    assert caught.value.shard == first
    assert artefact.missing(["x", "y", "z"]) == ["x", "y"]
    artefact.write(rows("x", "y"))
    assert [row.id for row in artefact.read(["z", "x"])] == ["z", "x"]


def test_another_reader_of_the_same_artefact_learns_of_it_too(reopen) -> None:
    artefact = reopen()
    artefact.write(rows("x", "y"))
    other = artefact.read(["x", "y"])
    next(other)
    next(artefact.folder.glob("*.shard")).unlink()
    with pytest.raises(DamagedShard):
        list(artefact.read(["x"]))
    with pytest.raises(DamagedShard):
        next(other)


def test_a_shard_that_another_process_mends_meanwhile_is_not_dropped(tmp_path) -> None:
    artefact = Store(lambda text: shard.write_bytes(sound), tmp_path).artefact("stage", {})
    artefact.write(rows("x", "y"))
    (shard,) = artefact.folder.glob("*.shard")
    sound = shard.read_bytes()
    flip(shard, 0)
    with pytest.raises(DamagedShard):
        list(artefact.read(["x"]))
    assert [row.id for row in artefact.read(["x", "y"])] == ["x", "y"]


def test_random_order_gives_the_same_rows_with_one_open_file(reopen) -> None:
    artefact, ids = reopen(), [f"{i:03d}" for i in range(200)]
    for start in range(0, 200, 10):
        artefact.write(
            [Row(i, {"n": np.array(int(i)), "b": i.encode()}) for i in ids[start : start + 10]]
        )
    shuffled = random.Random(0).sample(ids, len(ids))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for row in artefact.read(shuffled):
        assert int(row["n"]) == int(row.id)
        assert row["b"] == row.id.encode()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert [row.id for row in reopen().read(shuffled, only="b")] == shuffled


def test_values_come_back_with_type_shape_and_may_be_changed(reopen) -> None:
    values = {
        "scalar": np.array(0.5),
        "flag": np.array(True),
        "text": np.array("größe"),
        "empty": np.zeros((0, 3), np.float32),
        "short": np.arange(3, dtype=np.int16),
        "transposed": np.arange(6).reshape(2, 3).T,
        "nothing": b"",
    }
    reopen().write([Row("größe/\N{DASH SYMBOL}.png", values)])
    (row,) = reopen().read(["größe/\N{DASH SYMBOL}.png"])
    assert list(row) == list(values)
    for name, value in values.items():
        if isinstance(value, bytes):
            assert row[name] == value
        else:
            np.testing.assert_array_equal(row[name], value)
            assert row[name].dtype == value.dtype
    row["transposed"] += 1


def test_a_row_that_succeeded_counts_whatever_the_order(reopen) -> None:
    artefact = reopen()
    artefact.write([Row("x", error="out of memory")])
    artefact.write(rows("x"))
    artefact.write([Row("x", error="out of memory again")])
    for opened in (artefact, reopen()):
        assert opened.failed(["x"]) == {}
        assert opened.missing(["x"]) == []
        assert [row.id for row in opened.read(["x"])] == ["x"]


def test_objects_are_refused(reopen) -> None:
    with pytest.raises(TypeError, match="not objects"):
        reopen().write([Row("x", {"v": np.array([{}], object)})])
