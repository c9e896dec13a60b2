"""Reading wheels, zips and tars that come from elsewhere, without trusting them.

Names that leave the folder, links, devices, and archives that unpack to more than was announced
are refused; sizes are counted while reading, whatever the archive's header says.
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from anonbench.errors import BadData

CHUNK = 1 << 20
DEFAULT_LIMIT = 8 << 30  # bytes; more than any archive of the catalogue unpacks to
MAX_FILES = 200_000


@dataclass(frozen=True)
class Member:
    """One entry of an archive."""

    name: str
    kind: str
    open: Callable[[], IO[bytes]]


def extract_file(archive: Path, member: str, target: Path, limit: int = 0) -> None:
    """Copy one file out of an archive.

    Args:
        archive: A zip (wheel) or tar file.
        member: Its path in the archive.
        target: File to write.
        limit: Largest size in bytes; 0 for the default.

    Raises:
        BadData: No such file, not a regular file, too large, or not a readable archive.
    """
    with _members(archive) as members:
        for entry in members:
            if entry.name == member:
                _require_regular(archive, entry)
                _copy(archive, entry, target, limit or DEFAULT_LIMIT)
                return
    raise BadData(f"The archive {archive.name} has no file '{member}'.")


def extract_tree(archive: Path, prefix: str, target: Path, limit: int = 0) -> None:
    """Unpack one folder of an archive.

    Args:
        archive: A zip (wheel) or tar file.
        prefix: Folder in the archive whose content is wanted; empty for everything.
        target: Folder to fill; created.
        limit: Largest size of all files together in bytes; 0 for the default.

    Raises:
        BadData: Unsafe names, links, too much content, nothing below `prefix`, or not an archive.
    """
    start = PurePosixPath(prefix).parts
    left, files = limit or DEFAULT_LIMIT, 0
    with _members(archive) as members:
        for entry in members:
            parts = _safe_parts(archive, entry.name)
            if parts[: len(start)] != start or entry.kind == "folder":
                continue
            _require_regular(archive, entry)
            place = target.joinpath(*parts[len(start) :])
            place.parent.mkdir(parents=True, exist_ok=True)
            left -= _copy(archive, entry, place, left)
            files += 1
            if files > MAX_FILES:
                raise BadData(f"The archive {archive.name} holds more than {MAX_FILES} files.")
    if not files:
        raise BadData(f"The archive {archive.name} has no files below '{prefix}'.")


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a member's path; BadData where it could lead out of the target folder."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts
    if outside or "\\" in name:
        raise BadData(
            f"The archive {archive.name} is not safe to unpack: '{name}' leads out of its folder."
        )
    return posix.parts


def _require_regular(archive: Path, entry: Member) -> None:
    if entry.kind != "file":
        raise BadData(
            f"The archive {archive.name} is not safe to unpack: '{entry.name}' is a {entry.kind}."
        )


def _copy(archive: Path, entry: Member, target: Path, limit: int) -> int:
    """Copy a member, at most `limit` bytes of it; returns the size."""
    size = 0
    with entry.open() as source, target.open("wb") as sink:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise BadData(
                    f"The archive {archive.name} unpacks to more than announced.",
                    why=f"'{entry.name}' goes over the limit of {limit} bytes.",
                )
            sink.write(chunk)
    return size


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    """The entries of an archive, while it is open."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield _zip_members(opened)
        else:
            with tarfile.open(archive) as opened_tar:
                yield _tar_members(opened_tar)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadData(f"{archive.name} is not a readable archive.", why=str(error)) from error


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        kind = "folder" if info.is_dir() else "link" if stat.S_ISLNK(mode) else "file"
        yield Member(info.filename, kind, lambda info=info: archive.open(info))  # type: ignore[misc]


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        kind = "folder" if info.isdir() else "file" if info.isfile() else "link or device"
        yield Member(info.name, kind, lambda info=info: _open_tar(archive, info))  # type: ignore[misc]


def _open_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(info)
    if stream is None:
        raise BadData(f"'{info.name}' has no content.")
    return stream
