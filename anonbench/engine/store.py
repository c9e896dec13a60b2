"""The artefact store: rows per sample, in shards that are written once and never changed.

An artefact is a folder named by the hash of everything that decides its content (its key
material, kept readable in `key.json`). It holds shards: uncompressed npz files, each with some
samples' rows. What is missing is found row by row, so a run continues wherever it was stopped
and `--limit` never invalidates anything. Shards appear by rename, so a reader never sees half a
file, and the zip format's CRC tells a damaged one, which is dropped and computed again.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from anonbench.files import atomic_write
from anonbench.paths import home

Value = NDArray[Any] | bytes
FORMAT = 1


class DamagedShard(Exception):
    """Rows that were stored can no longer be read: their shard is damaged, or is gone.

    Raised by `Artefact.read` at the first such row. The shard has then been dropped, from the disk
    and from the artefact's index, and the user was told, so its rows are `missing`: whoever
    computes anew what needed them finds everything else in the store.

    Attributes:
        shard: The file.
    """

    def __init__(self, shard: Path, reason: str) -> None:
        super().__init__(f"The shard {shard} is damaged ({reason}).")
        self.shard = shard


class Row(dict[str, Value]):
    """What a stage computed for one sample: named arrays or bytes, or the reason of a failure."""

    def __init__(self, sample_id: str, values: Mapping[str, Value] = {}, error: str = "") -> None:
        super().__init__(values)
        self.id, self.error = sample_id, error


def content_key(material: Mapping[str, Any]) -> str:
    """The hex SHA-256 of key material as canonical JSON."""
    text = json.dumps(material, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Artefact:
    """The stored rows of one stage under one key.

    Args:
        folder: Where its shards stand.
        warn: Called with one sentence when a damaged shard is dropped.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.folder, self.key = folder, folder.name
        self._warn = warn
        self._errors: dict[str, str] = {}
        self._where: dict[str, tuple[Path, int]] = {}
        self._seen: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that appeared since the last look, also another process's."""
        for shard in sorted(self.folder.glob("*.npz")):
            if shard not in self._seen and _is_sound(shard, self._warn):
                self._index(shard)

    def _index(self, shard: Path) -> None:
        self._seen.add(shard)
        with np.load(shard, allow_pickle=False) as data:
            ids, errors = data["ids"].tolist(), data["errors"].tolist()
        row = 0
        for sample_id, error in zip(ids, errors, strict=True):
            if error:
                self._errors[sample_id] = error
                continue
            self._where[sample_id] = (shard, row)
            self._errors.pop(sample_id, None)
            row += 1

    def missing(self, ids: Iterable[str]) -> list[str]:
        """The ids without a row; one that failed has a row."""
        return [i for i in ids if i not in self._where and i not in self._errors]

    def failed(self, ids: Iterable[str]) -> dict[str, str]:
        """The reason per id that failed."""
        return {i: self._errors[i] for i in ids if i in self._errors}

    def forget(self) -> None:
        """Delete all rows, for `--overwrite always`."""
        for shard in self.folder.glob("*.npz"):
            shard.unlink(missing_ok=True)
        self._errors, self._where, self._seen = {}, {}, set()

    def write(self, rows: Sequence[Row]) -> None:
        """Store rows as one shard.

        Raises:
            StoreError: The shard cannot be written; earlier shards stay.
        """
        good = [row for row in rows if not row.error]
        columns: dict[str, NDArray[Any]] = {
            "ids": np.array([row.id for row in rows]),
            "errors": np.array([row.error for row in rows]),
        }
        for name in good[0] if good else ():
            columns |= _pack(name, [row[name] for row in good])
        digest = hashlib.sha256("\n".join(row.id for row in rows).encode()).hexdigest()
        shard = self.folder / f"{digest[:20]}.npz"
        atomic_write(shard, lambda path: _save_npz(path, columns))
        self._index(shard)

    def read(self, ids: Iterable[str], only: str = "") -> Iterator[Row]:
        """The rows of ids that succeeded, in that order, with one shard in memory.

        Args:
            ids: Samples.
            only: The one column to read; all columns where empty.

        Raises:
            DamagedShard: A row's shard is damaged or gone; its rows are missing from now on.
        """
        open_shard: Path | None = None
        columns: dict[str, NDArray[Any]] = {}
        for sample_id in ids:
            shard, row = self._where[sample_id]
            if shard != open_shard:
                columns, open_shard = self._columns(shard, only), shard
            yield Row(sample_id, _unpack(columns, row))

    def _columns(self, shard: Path, only: str) -> dict[str, NDArray[Any]]:
        try:
            with np.load(shard, allow_pickle=False) as data:
                names = [n for n in data.files if not only or n.split(".")[0] == only]
                return {name: data[name] for name in names}
        except (zipfile.BadZipFile, FileNotFoundError, ValueError) as error:
            self._drop(shard, str(error))
            raise DamagedShard(shard, str(error)) from error

    def _drop(self, shard: Path, reason: str) -> None:
        self._warn(f"The shard {shard} is damaged ({reason}); its rows are computed again.")
        shard.unlink(missing_ok=True)
        self._errors, self._where, self._seen = {}, {}, set()
        self.refresh()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while the artefact is computed; a second process waits, then finds the rows."""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0.1)
        except Timeout:
            self._warn(f"Another anonbench process is computing {self.folder.name}; waiting.")
            lock.acquire()
        try:
            self.refresh()
            yield
        finally:
            lock.release()


class Store:
    """All artefacts of a user, below `anonbench.paths.home()/store`.

    Args:
        warn: Called with one sentence about anything unusual.
        root: Another folder than the user's cache.
    """

    def __init__(self, warn: Callable[[str], None], root: Path | None = None) -> None:
        self.root = root or home() / "store"
        self._warn = warn

    def artefact(self, stage: str, material: Mapping[str, Any]) -> Artefact:
        """Open the artefact of a stage for its key material, creating its folder."""
        material = {"format": FORMAT, "stage": stage, **material}
        key = content_key(material)
        folder = self.root / stage / key[:2] / key
        if not (folder / "key.json").is_file():
            text = json.dumps(material, indent=2, sort_keys=True)
            atomic_write(folder / "key.json", lambda path: _write_text(path, text))
        return Artefact(folder, self._warn)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _save_npz(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)


def _is_sound(shard: Path, warn: Callable[[str], None]) -> bool:
    try:
        with zipfile.ZipFile(shard) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        damaged = str(error)
    if damaged:
        warn(f"The shard {shard} is damaged ({damaged}); its rows are computed again.")
        shard.unlink(missing_ok=True)
    return not damaged


def _pack(name: str, values: Sequence[Value]) -> dict[str, NDArray[Any]]:
    """A column as arrays: stacked, or for bytes one flat array and the offsets into it."""
    if not isinstance(values[0], bytes):
        return {name: np.stack([np.asarray(v) for v in values])}
    blobs = [np.frombuffer(v, np.uint8) for v in values if isinstance(v, bytes)]
    offsets = np.cumsum([0, *(b.size for b in blobs)])
    return {f"{name}.bytes": np.concatenate(blobs), f"{name}.offsets": offsets}


def _unpack(columns: Mapping[str, NDArray[Any]], row: int) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, column in columns.items():
        if name.endswith(".bytes"):
            offsets = columns[name.removesuffix(".bytes") + ".offsets"]
            values[name.removesuffix(".bytes")] = column[offsets[row] : offsets[row + 1]].tobytes()
        elif not name.endswith(".offsets") and name not in ("ids", "errors"):
            values[name] = column[row]
    return values
