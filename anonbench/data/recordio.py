"""Reading MXNet's RecordIO files and the image records in them.

Facts from the format's documentation: `dmlc/recordio.h` (records of magic number, flag and length,
data, padding to 4 bytes) and `mxnet.recordio` (the index file, and `IRHeader` before an image).
"""

import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from anonbench.errors import BadData, BadImage
from anonbench.files import unreadable

MAGIC = struct.pack("<I", 0xCED7230A)
"""What each part of a record begins with."""

_PART = struct.Struct("<4sI")  # magic, 3 bits of flag over 29 bits of length
_HEADER = struct.Struct("<IfQQ")  # IRHeader: number of labels or 0, label, id, id2
_LENGTH = (1 << 29) - 1
_WHOLE, _START, _MIDDLE, _END = range(4)
_PEEK = 64  # bytes that hold the header and some labels of nearly every record


@dataclass(frozen=True)
class ImageRecord:
    """A record: its labels, and the content of its image file (empty for a record of labels)."""

    labels: tuple[float, ...]
    image: bytes


class RecordFile:
    """Random access to the records of a `.rec` file by the keys of its `.idx` file.

    Args:
        records: The `.rec` file.
        index: The `.idx` file: lines of `key`, tab, offset of the record in bytes.

    Raises:
        BadData: A file cannot be read, the index is none, or points beyond the records' end
            or into a record that is cut off.
    """

    def __init__(self, records: Path, index: Path) -> None:
        self.path = records
        try:
            self._size = records.stat().st_size
            with warnings.catch_warnings(action="ignore"):  # of an empty file, refused below
                table = np.loadtxt(index, dtype=np.int64, ndmin=2)
        except (OSError, ValueError) as error:
            raise BadData(f"The RecordIO pack cannot be opened: {error}.") from error
        keys = np.unique(table[:, :1])
        if not len(keys) == len(table) > 0 or table.shape[1] != 2 or (table < 0).any():
            raise BadData(f"{index} is no index of a RecordIO pack: not one 'key offset' a line.")
        self._keys, self._starts = table[np.argsort(table[:, 0])].T
        self._offsets = np.append(np.sort(self._starts), self._size)
        self._refuse_cut_off(index)

    @cached_property
    def keys(self) -> Sequence[int]:
        """All keys, sorted."""
        keys: list[int] = self._keys.tolist()
        return keys

    def read(self, key: int) -> ImageRecord:
        """A record.

        Raises:
            BadImage: There is no such record, or its bytes are none.
            StoreError: The disk or mount of the file fails.
        """
        start, end = self._range(key)
        try:
            with self.path.open("rb") as file:
                return _unpack(_record(file, start, end))
        except OSError as error:
            raise unreadable(self.path, error) from error
        except (ValueError, struct.error) as error:
            raise BadImage(f"Record {key} of {self.path} is damaged: {error}.") from error

    def labels(self, keys: Sequence[int]) -> Iterator[tuple[float, ...]]:
        """The labels of records, without reading their images; none where a record is broken.

        Args:
            keys: Some of `keys`.
        """
        starts = self._starts[np.searchsorted(self._keys, keys)].tolist()
        with self.path.open("rb", buffering=0) as file:
            for key, start in zip(keys, starts, strict=True):
                file.seek(start)
                try:
                    yield _peek(file.read(_PEEK)) or self.read(key).labels
                except BadImage:
                    yield ()

    def _range(self, key: int) -> tuple[int, int]:
        """Where a record starts, and where the next one does."""
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            raise BadImage(f"{self.path} has no record {key}.")
        start = int(self._starts[place])
        return start, int(self._offsets[np.searchsorted(self._offsets, start, side="right")])

    def _refuse_cut_off(self, index: Path) -> None:
        """The file must end with the last record that the index names."""
        last = int(self._offsets[-2])
        try:
            with self.path.open("rb") as file:
                _record(file, last, self._size)
                end = file.tell()
        except (OSError, ValueError) as error:
            problem = f"the last record, at byte {last:,}, is damaged: {error}"
        else:
            problem = "the file has more records" if end != self._size else ""
        if problem:
            raise BadData(
                f"{self.path} does not fit its index {index.name}: {problem}.",
                why="One of them is cut off, or they are of different packs.",
                mend="Get both files again.",
            )


def _record(file: BinaryIO, start: int, end: int) -> bytes:
    """The data of a record, its parts put together; leaves the file where the record ends.

    Where the data itself has the magic number, the writer leaves that out and starts a new part.

    Args:
        file: A RecordIO file.
        start: Where the record is, in bytes.
        end: Where the next one is, or the file ends.

    Raises:
        ValueError: There is no record, or it does not end where it should.
    """
    file.seek(start)
    parts: list[bytes] = []
    flag = _START
    while flag in (_START, _MIDDLE):
        head = file.read(_PART.size)
        magic, word = _PART.unpack(head) if len(head) == _PART.size else (b"", 0)
        flag, length = word >> 29, word & _LENGTH
        if magic != MAGIC or flag not in ((_MIDDLE, _END) if parts else (_WHOLE, _START)):
            raise ValueError("no record begins there" if not parts else "its parts do not follow")
        padding = -length % 4
        if file.tell() + length + padding > end:
            raise ValueError("it is cut off")
        parts.append(file.read(length + padding)[:length])
    return MAGIC.join(parts)


def _unpack(data: bytes) -> ImageRecord:
    """Labels and image of a record's data; raises struct.error where it is too short for them."""
    count, label, _, _ = _HEADER.unpack_from(data)
    if not count:
        return ImageRecord((label,), data[_HEADER.size :])
    labels = struct.unpack_from(f"<{count}f", data, _HEADER.size)
    return ImageRecord(labels, data[_HEADER.size + 4 * count :])


def _peek(start: bytes) -> tuple[float, ...]:
    """The labels from the first bytes of a record, or none where these do not tell."""
    try:
        magic, word = _PART.unpack_from(start)
        whole, length = word >> 29 == _WHOLE, word & _LENGTH
        data = start[_PART.size : _PART.size + length]
        return _unpack(data).labels if magic == MAGIC and whole else ()
    except struct.error:
        return ()
