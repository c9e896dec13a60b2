"""The artefact store: rows per sample, in shards that are written once and never changed.

An artefact is a folder named by the hash of everything that decides its content (its key
material, kept readable in `key.json`). It holds shards, each with some samples' rows. What is
missing is found row by row, so a run continues wherever it was stopped and `--limit` never
invalidates anything. Shards appear by rename, so a reader never sees half a file; whatever is
read of one is checked, and a damaged one is dropped and computed again. docs/store.md describes
the layout.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from anonbench.engine import origin
from anonbench.engine.locks import NoLocks, Timeout, take
from anonbench.engine.shards import Damage, Shard, Value, damage, is_shard, open_shard, write_shard
from anonbench.files import atomic_write, delete, unreadable, unwritable
from anonbench.paths import home

__all__ = ["FORMAT", "Artefact", "DamagedShard", "Row", "Store", "Value", "content_key"]

FORMAT = 2
"""Of shards and layout; part of every key, so artefacts of other formats are never looked at."""

KEY_FILE = "key.json"
LOCK_FILE = ".lock"


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

    Where several shards have a row of a sample, one that succeeded counts, and of several such
    the one in the shard whose name comes first.

    Args:
        folder: Where its shards stand.
        warn: Called with one sentence when a damaged shard is dropped.
        labels: Text files that say what it is, by name; written where they are missing or damaged.
    """

    def __init__(
        self, folder: Path, warn: Callable[[str], None], labels: Mapping[str, str] = {}
    ) -> None:
        self.folder, self.key = folder, folder.name
        self._warn, self._labels = warn, labels
        self._shards: dict[str, Shard] = {}
        self._rows: dict[str, tuple[Shard, int]] = {}
        self._errors: dict[str, str] = {}
        self._lost: DamagedShard | None = None
        self._label()
        self.refresh()

    def _label(self) -> None:
        for name, text in self._labels.items():
            if _read_text(self.folder / name) != text:
                atomic_write(self.folder / name, partial(_write_text, text=text))
        with suppress(OSError):  # when it was last used; a store that is read-only has no such
            os.utime(self.folder / KEY_FILE)

    def refresh(self) -> None:
        """Take in shards that appeared since the last look, also another process's.

        Raises:
            StoreError: They cannot be read.
        """
        try:
            names = {path.name for path in self.folder.iterdir() if is_shard(path)}
        except FileNotFoundError:
            names = set()
        except OSError as error:
            raise unreadable(self.folder, error) from error
        if self._shards.keys() - names:
            self._shards, self._rows, self._errors = {}, {}, {}
        for name in sorted(names - self._shards.keys()):
            self._open(self.folder / name)

    def _open(self, path: Path) -> None:
        try:
            self._index(open_shard(path))
        except FileNotFoundError:  # another process dropped it meanwhile
            return
        except Damage as found:
            self._tell(path, str(found))
            with suppress(OSError):  # read-only: it is passed over
                path.unlink(missing_ok=True)
        except OSError as error:
            raise unreadable(path, error) from error

    def _index(self, shard: Shard) -> None:
        self._shards[shard.path.name] = shard
        for row, sample_id in enumerate(shard.ids):
            known = self._rows.get(sample_id)
            if known is None or shard.path.name < known[0].path.name:
                self._rows[sample_id] = (shard, row)
        for sample_id, error in shard.errors.items():
            self._errors.setdefault(sample_id, error)

    def missing(self, ids: Iterable[str]) -> list[str]:
        """The ids without a row; one that failed has a row."""
        return [i for i in ids if i not in self._rows and i not in self._errors]

    def failed(self, ids: Iterable[str]) -> dict[str, str]:
        """The reason per id that failed."""
        return {i: self._errors[i] for i in ids if i in self._errors and i not in self._rows}

    def forget(self) -> None:
        """Delete all rows, for `--overwrite always`.

        Raises:
            StoreError: They cannot be deleted.
        """
        for shard in filter(is_shard, self.folder.iterdir()):
            delete(shard)
        self._shards, self._rows, self._errors = {}, {}, {}

    def write(self, rows: Sequence[Row]) -> None:
        """Store rows as one shard.

        Raises:
            StoreError: The shard cannot be written; earlier shards stay.
        """
        if not rows:
            return
        self._refuse_if_away()
        if not (self.folder / KEY_FILE).is_file():
            raise unwritable(self.folder, FileNotFoundError(errno.ENOENT, "it has vanished"))
        good = {row.id: row for row in rows if not row.error}
        errors = {row.id: row.error for row in rows if row.error}
        self._index(write_shard(self.folder, good, errors))

    def read(self, ids: Iterable[str], only: str = "") -> Iterator[Row]:
        """The rows of ids that succeeded, in that order, with one row in memory.

        Args:
            ids: Samples.
            only: The one column to read; all columns where empty.

        Raises:
            DamagedShard: A row's shard is damaged or gone; its rows are missing from now on.
            StoreError: The store cannot be read.
        """
        with closing(_LastShard()) as opened:
            for sample_id in ids:
                shard, row = self._place(sample_id)
                try:
                    values = shard.read(opened.file(shard.path), row, only)
                except Damage as found:
                    raise self._drop(shard.path, str(found)) from found
                except FileNotFoundError as error:
                    raise self._gone(shard.path) from error
                except OSError as error:
                    raise unreadable(shard.path, error) from error
                yield Row(sample_id, values)

    def _place(self, sample_id: str) -> tuple[Shard, int]:
        place = self._rows.get(sample_id)
        if place is None and self._lost is not None:  # another reader of this artefact dropped it
            raise DamagedShard(self._lost.shard, "its rows were there before")
        return self._rows[sample_id] if place is None else place

    def _gone(self, path: Path) -> DamagedShard:
        """A shard was purged, unless the store as a whole is away."""
        self._refuse_if_away()
        return self._drop(path, "it is gone")

    def _refuse_if_away(self) -> None:
        """Made anew, the store might stand in a folder over which a drive was mounted."""
        if not self.folder.parents[2].is_dir():
            gone = FileNotFoundError(errno.ENOENT, "it has vanished")
            raise unreadable(self.folder.parents[2], gone)

    def _drop(self, path: Path, reason: str) -> DamagedShard:
        self._tell(path, reason)
        if _is_damaged(path):  # another process may have written it anew meanwhile
            delete(path)
        self._lost = DamagedShard(path, reason)
        self._shards, self._rows, self._errors = {}, {}, {}
        self.refresh()
        return self._lost

    def _tell(self, path: Path, reason: str) -> None:
        self._warn(f"The shard {path} is damaged ({reason}); its rows are computed again.")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held while the artefact is computed; a second process waits, then finds the rows.

        Whoever holds the locks of several artefacts takes them in the order of their keys, so
        that no two processes wait for each other. The operating system releases the lock of a
        process that dies. Where a file system has no locks or the store is read-only, nobody
        waits: two processes may then compute the same rows, which costs time and nothing else.
        """
        self._refuse_if_away()
        lock = self._acquired()
        try:
            self._label()
            self.refresh()
            yield
        finally:
            if lock is not None:
                lock.release()

    def _acquired(self) -> FileLock | None:
        try:
            return take(self.folder / LOCK_FILE, timeout=0.1)
        except NoLocks:
            return None
        except Timeout:
            self._warn(f"Another anonbench process is computing {self.key}; waiting.")
            return take(self.folder / LOCK_FILE, timeout=-1)


class Store:
    """All artefacts of a user, below `anonbench.paths.home()/store`.

    Args:
        warn: Called with one sentence about anything unusual.
        root: Another folder than the user's cache.
    """

    def __init__(self, warn: Callable[[str], None], root: Path | None = None) -> None:
        self.root = root or home() / "store"
        self._warn = warn
        self._origins: dict[str, origin.Origin] = {}
        self._close_to_others()

    def _close_to_others(self) -> None:
        """Faces are nobody else's business, also in a folder that was made by hand."""
        try:
            mode = self.root.stat().st_mode & 0o777
        except OSError:  # not there yet, or away: opening an artefact tells
            return
        if mode & 0o077:
            try:
                self.root.chmod(0o700)
                done = "it is yours alone from now on"
            except OSError:
                done = "its owner should run: chmod 700"
            self._warn(f"The store {self.root} holds faces and had mode {mode:o}; {done}.")

    def artefact(self, stage: str, material: Mapping[str, Any]) -> Artefact:
        """Open the artefact of a stage for its key material, creating its folder.

        Raises:
            StoreError: It cannot be created or read.
        """
        material = {"format": FORMAT, "stage": stage, **material}
        key = content_key(material)
        folder = self.root / stage / key[:2] / key
        self._origins[key] = origin.load(folder) or self._origin(material)
        labels = {
            origin.FILE: self._origins[key].text,
            KEY_FILE: json.dumps(material, indent=2, sort_keys=True),
        }
        return Artefact(folder, self._warn, labels)

    def _origin(self, material: Mapping[str, Any]) -> origin.Origin:
        found = origin.named_in(material)
        for key in origin.sources(material):
            folders = self.root.glob(f"*/{key[:2]}/{key}")
            told = self._origins.get(key) or next(map(origin.load, folders), None)
            found |= told or origin.Origin()
        return found


class _LastShard:
    """The shard that was read last, kept open: rows mostly come in the order they were written."""

    def __init__(self) -> None:
        self._opened: tuple[Path, BinaryIO] | None = None

    def file(self, path: Path) -> BinaryIO:
        """The opened file of a shard."""
        if self._opened is None or self._opened[0] != path:
            self.close()
            self._opened = path, path.open("rb")
        return self._opened[1]

    def close(self) -> None:
        """Close it."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise unreadable(path, error) from error


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _is_damaged(path: Path) -> bool:
    try:
        return bool(damage(path))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreadable(path, error) from error
