"""Writing files so that a crash, a full disk or a second process never leaves half of one."""

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from anonbench.errors import StoreError

TEMPORARY = ".tmp-"
"""How the name of a file starts that is being written; a killed process leaves it behind."""

_SPACE = "Free some space (anonbench cache prune), or set ANONBENCH_HOME to a larger disk"
_ALLOW = "Make it yours to read and write (ls -ld shows its modes)"
_BRING_BACK = "Bring its disk or network mount back (df shows what is mounted)"
_MENDS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EROFS: "Mount its disk writable, or set ANONBENCH_HOME to a folder that can be written",
    errno.EACCES: f"{_ALLOW}, or set ANONBENCH_HOME to another folder",
    errno.EPERM: f"{_ALLOW}, or set ANONBENCH_HOME to another folder",
    errno.ENOENT: _BRING_BACK,
    errno.EIO: _BRING_BACK,
    errno.ESTALE: _BRING_BACK,
    errno.ENODEV: _BRING_BACK,
    errno.ENOTCONN: _BRING_BACK,
    errno.ETIMEDOUT: _BRING_BACK,
}


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file by way of a temporary one beside it, so it appears whole or not at all.

    It and the folders made for it belong to the user alone (0600, 0700).

    Raises:
        StoreError: The disk is full, read-only or gone; nothing half-written is left.
    """
    handle, name = -1, ""
    try:
        private_folder(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        os.close(handle)
        write(Path(name))
        with Path(name).open("rb") as file:
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if name:
            with suppress(OSError):  # what made writing fail may make this fail
                Path(name).unlink(missing_ok=True)


def private_folder(folder: Path) -> Path:
    """The folder; it and those above it are made with mode 0700 where they are missing."""
    for missing in (p for p in (*reversed(folder.parents), folder) if not p.exists()):
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder


def delete(path: Path) -> None:
    """Delete a file, if it is there.

    Raises:
        StoreError: It cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be deleted: {error.strerror or error}.",
            mend=f"{_mend(error)}, then run the same command again.",
        ) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """What to tell the user about a file or folder that cannot be written."""
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}.",
        why="What was computed before is kept.",
        mend=f"{_mend(error)}, then run the same command again; it continues where it was.",
    )


def unreadable(path: Path, error: OSError) -> StoreError:
    """What to tell the user about a file or folder that cannot be read."""
    return StoreError(
        f"{path} cannot be read: {error.strerror or error}.",
        why="Nothing was deleted.",
        mend=f"{_mend(error)}, then run the same command again.",
    )


def _mend(error: OSError) -> str:
    return _MENDS.get(error.errno or 0, "Mend the cause")
