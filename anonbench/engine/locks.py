"""Locks between processes, on artefacts."""

import errno
import warnings
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from anonbench.files import unwritable

__all__ = ["NoLocks", "Timeout", "take"]

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_UNKNOWN_HERE = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


class NoLocks(Exception):
    """The file system has no locks, or the folder is read-only."""


def take(path: Path, timeout: float) -> FileLock:
    """A lock that is held; the operating system releases it when the process ends, however.

    Args:
        path: The file that is locked; it is created, and stays.
        timeout: Seconds to wait; negative: for ever.

    Raises:
        Timeout: Another process holds it.
        NoLocks: It cannot be locked, by anybody.
        StoreError: The folder is away.
    """
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        with warnings.catch_warnings():  # that it resorts to what is refused below
            warnings.simplefilter("ignore")
            lock.acquire(timeout=timeout)
    except Timeout as held:
        if isinstance(lock, SoftFileLock):
            raise NoLocks from held
        raise
    except NotImplementedError as error:
        raise NoLocks from error
    except OSError as error:
        if error.errno in (*_READ_ONLY, *_UNKNOWN_HERE):
            raise NoLocks from error
        raise unwritable(path, error) from error
    if isinstance(lock, SoftFileLock):
        # Without locks, filelock resorts to a file whose existence is the lock. On a cluster, one
        # that a killed process leaves behind would block all others for ever.
        lock.release(force=True)
        raise NoLocks
    return lock
