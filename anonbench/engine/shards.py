"""Shards: files of rows, written once, never changed, and checked whatever is read of them.

A shard holds, one after the other: its cells, row by row; its index, as JSON; the index's length,
in eight bytes; and eight bytes that say what kind of file this is. The index names the rows and
the columns and has size and CRC-32 of every cell, and the shard's name is the SHA-256 of the
index. So no byte is ever used unchecked, opening reads the index alone, and any row can be read
without the others. docs/store.md describes the format for other programs.
"""

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from anonbench.files import TEMPORARY, atomic_write

Value = NDArray[Any] | bytes

_SUFFIX = ".shard"
_END = b"anonshd2"
_LENGTH = 8


def is_shard(path: Path) -> bool:
    """Whether a file is one by its name, and not one that is being written."""
    return path.suffix == _SUFFIX and not path.name.startswith(TEMPORARY)


class Damage(Exception):
    """A shard is not what was written; says in what way."""


class Shard:
    """The index of one shard, which was checked when it was read.

    Args:
        path: The file.
        index: What its index says.

    Attributes:
        path: The file.
        ids: The samples that have a row, in the order of the rows.
        errors: The reason for each sample that failed.
    """

    def __init__(self, path: Path, index: Mapping[str, Any]) -> None:
        self.path = path
        # A sample's id is in every artefact of a run: one copy of it serves all.
        self.ids = tuple(map(sys.intern, index["ids"]))
        self.errors = {sys.intern(name): str(why) for name, why in index["errors"].items()}
        self._columns: dict[str, Any] = index["columns"]
        self._offsets = np.array([0, *accumulate(index["sizes"])])
        self._crcs = np.array(index["crcs"], np.uint32)

    def read(self, file: BinaryIO, row: int, only: str = "") -> dict[str, Value]:
        """The values of one row.

        Args:
            file: The opened shard.
            row: Counts from 0 in `ids`.
            only: The one column to read; all where empty.

        Raises:
            Damage: They are not what was written.
            OSError: The file cannot be read.
        """
        return {
            name: self._value(layout, self._cell(file, row * len(self._columns) + place))
            for place, (name, layout) in enumerate(self._columns.items())
            if only in ("", name)
        }

    def _cell(self, file: BinaryIO, number: int) -> bytes:
        start, stop = self._offsets[number : number + 2].tolist()
        file.seek(start)
        cell = file.read(stop - start)
        if len(cell) != stop - start:
            raise Damage("it is cut short")
        if zlib.crc32(cell) != self._crcs[number]:
            raise Damage(f"the checksum of bytes {start} to {stop} is wrong")
        return cell

    @staticmethod
    def _value(layout: str | tuple[str, list[int]], cell: bytes) -> Value:
        if isinstance(layout, str):
            return cell
        dtype, shape = layout
        array: NDArray[Any] = np.ndarray(shape, dtype, bytearray(cell))[()]
        return array

    def check(self) -> None:
        """Read all of it.

        Raises:
            Damage: Something in it is not what was written.
            OSError: It cannot be read.
        """
        with self.path.open("rb") as file:
            for number in range(len(self._crcs)):
                self._cell(file, number)


def open_shard(path: Path) -> Shard:
    """Read the index of a shard, and nothing else of it.

    Raises:
        Damage: It is not what was written.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - len(_END) - _LENGTH
        if end < 0:
            raise Damage("it is cut short")
        file.seek(end)
        length = int.from_bytes(file.read(_LENGTH), "little")
        if file.read() != _END or length > end:
            raise Damage("it does not end as a shard does")
        file.seek(end - length)
        text = file.read(length)
    if _name(text) != path.name:
        raise Damage("its index is not the one that its name stands for")
    return Shard(path, json.loads(text))


def damage(path: Path) -> str:
    """In what way a shard is damaged after reading all of it; nothing where it is sound.

    Raises:
        OSError: It cannot be read.
    """
    try:
        open_shard(path).check()
    except Damage as found:
        return str(found)
    return ""


def write_shard(
    folder: Path, rows: Mapping[str, Mapping[str, Value]], errors: Mapping[str, str]
) -> Shard:
    """Store rows of the same columns.

    Args:
        folder: Where to.
        rows: The values of each sample; arrays of a column have one shape.
        errors: The reason for each sample that failed.

    Raises:
        StoreError: It cannot be written; nothing is left of it.
    """
    columns, cells = _cells(list(rows.values()))
    index = {
        "ids": list(rows),
        "errors": dict(errors),
        "columns": columns,
        "sizes": [len(cell) for cell in cells],
        "crcs": [zlib.crc32(cell) for cell in cells],
    }
    text = json.dumps(index, separators=(",", ":")).encode()
    path = folder / _name(text)
    end = [text, len(text).to_bytes(_LENGTH, "little"), _END]
    atomic_write(path, lambda file: _write(file, [*cells, *end]))
    return Shard(path, index)


def _write(path: Path, pieces: Sequence[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(pieces)


def _name(index: bytes) -> str:
    return hashlib.sha256(index).hexdigest()[:32] + _SUFFIX


def _cells(rows: Sequence[Mapping[str, Value]]) -> tuple[dict[str, Any], list[bytes]]:
    """The layout of each column, `bytes` or type and shape, and all cells row by row."""
    columns = {name: _column([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    layouts = {name: layout for name, (layout, _) in columns.items()}
    by_row = zip(*(cells for _, cells in columns.values()), strict=True)
    return layouts, [cell for row in by_row for cell in row]


def _column(values: Sequence[Value]) -> tuple[str | tuple[str, tuple[int, ...]], Iterator[bytes]]:
    if isinstance(values[0], bytes):
        return "bytes", (bytes(value) for value in values)
    stacked = np.stack([np.asarray(value) for value in values])
    if stacked.dtype.hasobject:
        raise TypeError("Rows hold numbers, text or bytes, not objects.")
    return (stacked.dtype.str, stacked.shape[1:]), (value.tobytes() for value in stacked)
