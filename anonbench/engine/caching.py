"""Looking after the store: what is in it, is it sound, what can go.

Nothing here touches results, nor an artefact that another process computes.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from anonbench.engine import origin
from anonbench.engine.locks import NoLocks, Timeout, take
from anonbench.engine.shards import Damage, damage, is_shard, open_shard
from anonbench.engine.store import FORMAT, KEY_FILE, LOCK_FILE, content_key
from anonbench.files import TEMPORARY, delete, unreadable
from anonbench.paths import home

ABANDONED_SECONDS = 3600
"""A temporary file that nobody wrote to for so long was left by a process that was killed."""

_MAKERS = ("judge", "detector", "method")


@dataclass(frozen=True)
class Entry:
    """One artefact as it lies on disk.

    Attributes:
        folder: Where.
        material: Its key material; empty where that cannot be read.
        origin: The datasets and methods it was computed from.
        size: Bytes of all its files.
        used: When it was opened last, in seconds since 1970.
    """

    folder: Path
    material: Mapping[str, Any]
    origin: origin.Origin
    size: int
    used: float

    @property
    def key(self) -> str:
        """Its key."""
        return self.folder.name

    @property
    def stage(self) -> str:
        """The stage that computes it."""
        return self.folder.parents[1].name

    @property
    def by(self) -> str:
        """Who computed it: a judge, a detector or a method, where its key names one."""
        named = (self.material.get(kind) for kind in _MAKERS)
        return next((str(one["name"]) for one in named if isinstance(one, Mapping)), "")

    @property
    def readable(self) -> bool:
        """Whether this version of anonbench reads it."""
        return self.material.get("format") == FORMAT

    @property
    def shards(self) -> list[Path]:
        """Its shards."""
        return sorted(filter(is_shard, self.folder.glob("*")))

    @cached_property
    def rows(self) -> int | None:
        """Samples in sound shards, with those that failed; None in a format of another version."""
        if not self.readable:
            return None
        found: set[str] = set()
        for path in self.shards:
            with suppress(Damage, FileNotFoundError):
                shard = open_shard(path)
                found |= {*shard.ids, *shard.errors}
        return len(found)


def inventory(root: Path) -> list[Entry]:
    """All artefacts in a store.

    Raises:
        StoreError: The store cannot be read.
    """
    try:
        folders = [
            folder
            for stage in _folders(root)
            for shelf in _folders(stage)
            for folder in _folders(shelf)
            if origin.KEY.fullmatch(folder.name)
        ]
        return [entry for entry in map(_entry, folders) if entry is not None]
    except OSError as error:
        raise unreadable(root, error) from error


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:  # no store yet, or purged by another process meanwhile
        return []


def _entry(folder: Path) -> Entry | None:
    try:
        sizes = [path.stat().st_size for path in folder.iterdir()]
        marker = folder / KEY_FILE
        used = (marker if marker.is_file() else folder).stat().st_mtime
    except FileNotFoundError:
        return None
    material = _material(marker)
    told = origin.load(folder) or origin.Origin()
    return Entry(folder, material, told | _named_in(material), sum(sizes), used)


def _material(path: Path) -> dict[str, Any]:
    try:
        material = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return material if isinstance(material, dict) else {}


def _named_in(material: Mapping[str, Any]) -> origin.Origin:
    try:
        return origin.named_in(material)
    except (KeyError, TypeError, IndexError):  # of a damaged file, or of a plug-in's own stage
        return origin.Origin()


# ---------------------------------------------------------------------------------------- verify
class Finding(NamedTuple):
    """What is wrong with a file of the store.

    Attributes:
        path: The file.
        reason: In what way.
        dropped: Whether it was deleted.
    """

    path: Path
    reason: str
    dropped: bool


def verify(
    entries: Sequence[Entry], drop: bool, advance: Callable[[int], None] = lambda count: None
) -> Iterator[Finding]:
    """Read every shard, and every key, and name what is damaged.

    A damaged shard is dropped alone. Where the key does not stand for the folder any more, nobody
    can say what the rows are, and all of them are dropped.

    Args:
        entries: What to verify; formats of other versions are passed over.
        drop: Whether to delete what is damaged.
        advance: Is told the bytes of each artefact.

    Raises:
        StoreError: A damaged file cannot be deleted.
    """
    for entry in entries:
        if entry.readable or not entry.material:
            yield from _verify(entry, drop)
        advance(entry.size)


def _verify(entry: Entry, drop: bool) -> Iterator[Finding]:
    if content_key(entry.material) != entry.key:
        dropped = drop and remove(entry)
        yield Finding(entry.folder / KEY_FILE, "it is not the key of its folder", dropped)
        return
    for path in entry.shards:
        try:
            reason = damage(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Finding(path, f"it cannot be read: {error.strerror}", dropped=False)
            continue
        if reason:
            if drop:
                delete(path)
            yield Finding(path, reason, drop)


# ------------------------------------------------------------------------------- prune and purge
@dataclass
class Cleared:
    """What was deleted, or would have been.

    Attributes:
        artefacts: Artefacts, each with the reason.
        files: Other files.
        busy: Artefacts that stay, as another process computes them.
        size: Bytes of what was deleted.
    """

    artefacts: list[tuple[Entry, str]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    busy: list[Entry] = field(default_factory=list)
    size: int = 0


def prune(
    root: Path,
    older_than: float | None = None,
    keep_under: int | None = None,
    dry_run: bool = False,
) -> Cleared:
    """Delete what is of no use, and what has not been used for longest.

    Left-over temporary files and artefacts of other formats go always.

    Args:
        root: The store.
        older_than: Also delete artefacts that were not used for so many seconds.
        keep_under: Also delete those not used for longest, until the rest has so many bytes.
        dry_run: Only tell.

    Raises:
        StoreError: The store cannot be read, or something cannot be deleted.
    """
    entries, now = inventory(root), time.time()
    why = {entry.key: "of another format" for entry in entries if not entry.readable}
    if older_than is not None:
        old = [entry for entry in entries if now - entry.used > older_than]
        why = {entry.key: "not used for long" for entry in old} | why
    if keep_under is not None:
        left = sum(entry.size for entry in entries if entry.key not in why)
        for entry in sorted(entries, key=lambda entry: entry.used):
            if left > keep_under and entry.key not in why:
                why[entry.key], left = "not used for longest", left - entry.size
    cleared = Cleared()
    _clear_files(_abandoned(root, now), dry_run, cleared)
    chosen = [(entry, why[entry.key]) for entry in entries if entry.key in why]
    return _clear(chosen, dry_run, cleared)


def _abandoned(root: Path, now: float) -> Iterator[Path]:
    for path in root.rglob(f"{TEMPORARY}*"):
        with suppress(FileNotFoundError):
            if now - path.stat().st_mtime > ABANDONED_SECONDS:
                yield path


def derived(
    entries: Sequence[Entry], dataset: str = "", method: str = "", everything: bool = False
) -> list[Entry]:
    """The artefacts of a dataset or of a method, and all that was computed from these.

    Args:
        entries: All of the store.
        dataset: Name of a dataset.
        method: Name of a method.
        everything: Simply all artefacts.
    """
    chosen = {
        entry.key
        for entry in entries
        if everything or dataset in entry.origin.datasets or method in entry.origin.methods
    }
    # Artefacts of format 1 do not tell their origin, but name their sources by key.
    before = -1
    while before != len(chosen):
        before = len(chosen)
        chosen |= {
            entry.key for entry in entries if chosen.intersection(origin.sources(entry.material))
        }
    return [entry for entry in entries if entry.key in chosen]


def purge(entries: Sequence[Entry], why: str, files: Sequence[Path] = ()) -> Cleared:
    """Delete artefacts, except those that another process computes, and other files.

    Raises:
        StoreError: Something cannot be deleted; what was deleted before is gone.
    """
    cleared = Cleared()
    _clear_files(files, False, cleared)
    return _clear([(entry, why) for entry in entries], False, cleared)


def manifests(dataset: str = "") -> list[Path]:
    """What is remembered of the files of a dataset: their names and hashes; empty: of all."""
    name = re.escape(dataset) if dataset else ".*"
    pattern = re.compile(rf"{name}-[0-9a-f]{{16}}(-[0-9a-f]{{8}})?\.(json|sha256)")
    folder = home() / "manifests"
    return sorted(path for path in folder.glob("*") if pattern.fullmatch(path.name))


def _clear_files(files: Iterator[Path] | Sequence[Path], dry_run: bool, cleared: Cleared) -> None:
    for path in files:
        with suppress(FileNotFoundError):
            cleared.size += path.stat().st_size
            cleared.files.append(path)
            if not dry_run:
                delete(path)


def _clear(chosen: Sequence[tuple[Entry, str]], dry_run: bool, cleared: Cleared) -> Cleared:
    for entry, why in chosen:
        if dry_run or remove(entry):
            cleared.artefacts.append((entry, why))
            cleared.size += entry.size
        else:
            cleared.busy.append(entry)
    return cleared


def remove(entry: Entry) -> bool:
    """Delete an artefact; False where another process computes it.

    What says what it is goes last: until nothing else is left, its origin can be told.

    Raises:
        StoreError: It cannot be deleted.
    """
    try:
        lock = take(entry.folder / LOCK_FILE, timeout=0)
    except Timeout:
        return False
    except NoLocks:
        lock = None
    try:
        last = (KEY_FILE, origin.FILE, LOCK_FILE)
        for path in sorted(entry.folder.glob("*"), key=lambda path: path.name in last):
            delete(path)
    finally:
        if lock is not None:
            lock.release()
    for folder in (entry.folder, *entry.folder.parents[:2]):
        with suppress(OSError):  # it has other artefacts, or is being filled again
            folder.rmdir()
    return True
