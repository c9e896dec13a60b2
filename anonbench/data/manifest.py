"""Manifests: every file of a dataset with size and sha256, in the format of `sha256sum`.

A manifest written to disk can be checked with coreutils (`sha256sum -c FILE` in the dataset's
folder), and one written by `sha256sum` can be read here.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter

from anonbench.errors import BadData, StoreError
from anonbench.files import atomic_write

_Known = dict[str, tuple[int, int, str]]
_KNOWN = TypeAdapter(_Known)
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class FileEntry:
    """One file: POSIX path below the dataset's root, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All files of a dataset, sorted by path."""

    files: tuple[FileEntry, ...]

    @property
    def text(self) -> str:
        """One line `sha256  path` per file, sorted by path, as `sha256sum` prints them."""
        return "".join(f"{file.sha256}  {file.path}\n" for file in self.files)

    @cached_property
    def hash(self) -> str:
        """The sha256 of `text`: equal for equal content, wherever the dataset lies."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def build_manifest(files: Mapping[str, str], cache: Path | None = None) -> Manifest:
    """Hash files, or take their hashes from a cache where size and mtime are unchanged.

    Args:
        files: Where each file stands, per path in the manifest.
        cache: File that remembers `path -> (size, mtime_ns, sha256)`, or None to hash every file.
            It may be absent, broken or read-only: then the files are hashed.

    Raises:
        BadData: A file is missing or cannot be read.
    """
    known = _load(cache) if cache else {}
    fresh = {path: _hashed(files[path], known.get(path)) for path in sorted(files)}
    if cache and fresh != known:
        _save(cache, fresh)
    return Manifest(tuple(FileEntry(path, size, sha) for path, (size, _, sha) in fresh.items()))


def read_checksums(path: Path) -> dict[str, str]:
    """The sha256 per path in a file of `sha256sum` lines.

    Raises:
        BadData: The file cannot be read, or a line is not of the form `sha256  path`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"The manifest {path} cannot be read: {error}.") from error
    matches = [_LINE.fullmatch(line) for line in lines]
    for number, match in enumerate(matches, start=1):
        if match is None:
            raise BadData(
                f"{path}, line {number}: not of the form 'sha256  path'.",
                mend="Write a manifest with: anonbench data verify NAME --record FILE",
            )
    return {match[2]: match[1] for match in matches if match}


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hashed(file: str, known: tuple[int, int, str] | None) -> tuple[int, int, str]:
    try:
        stat = os.stat(file)  # noqa: PTH116 (a Path per file doubles the time of a cached run)
        if known and known[:2] == (stat.st_size, stat.st_mtime_ns):
            return known
        return stat.st_size, stat.st_mtime_ns, sha256_of(Path(file))
    except OSError as error:
        raise BadData(f"{file} cannot be read: {error.strerror}.") from error


def _load(cache: Path) -> _Known:
    try:
        return _KNOWN.validate_json(cache.read_bytes())
    except (OSError, ValueError):  # absent or broken: a cache, so the files are hashed again
        return {}


def _save(cache: Path, known: _Known) -> None:
    def write(file: Path) -> None:
        file.write_bytes(_KNOWN.dump_json(known))

    # A cache that cannot be written costs time on the next run, nothing else.
    with suppress(StoreError):
        atomic_write(cache, write)
