"""Writing files so that a crash, a full disk or a second process never leaves half of one."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from anonbench.errors import StoreError


def atomic_write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file by way of a temporary one beside it, so it appears whole or not at all.

    It and the folders made for it belong to the user alone (0600, 0700).

    Raises:
        StoreError: The disk is full, read-only or gone; nothing half-written is left.
    """
    handle, name = -1, ""
    try:
        private_folder(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
        os.close(handle)
        write(Path(name))
        with Path(name).open("rb") as file:
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        raise _explain(path, error) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def private_folder(folder: Path) -> Path:
    """The folder; it and those above it are made with mode 0700 where they are missing."""
    for missing in (p for p in (*reversed(folder.parents), folder) if not p.exists()):
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder


def _explain(path: Path, error: OSError) -> StoreError:
    mend = {
        errno.ENOSPC: "Free some space, or set ANONBENCH_HOME to a larger disk",
        errno.EROFS: "Set ANONBENCH_HOME to a folder that can be written",
        errno.EACCES: "Set ANONBENCH_HOME to a folder that you may write",
    }.get(error.errno or 0, "Mend the cause")
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}.",
        why="What was computed before is kept.",
        mend=f"{mend}, then run the same command again; it continues where it was.",
    )
