"""Pretrained weights and fetchable data: the catalogue, the cache, and how files get there.

`catalogue.toml` names every artefact with its mirrors, hash, size and licence. Nothing is used
before its SHA-256 is what the catalogue, or the first import, says. Importing this package is
light; the network code is imported when something is fetched.
"""

from collections.abc import Iterable
from pathlib import Path

from anonbench.weights.artefacts import Artefact, Part, catalogue
from anonbench.weights.cache import digest, is_present, path, require_by_hand, verify
from anonbench.weights.files import file_digest, packaged

__all__ = [
    "Artefact",
    "Part",
    "catalogue",
    "digest",
    "fetch",
    "file_digest",
    "import_file",
    "is_present",
    "packaged",
    "path",
    "record",
    "record_file",
    "require_by_hand",
    "verify",
]


def record(name: str) -> str:
    """The SHA-256 of an artefact as a result's record has it: stamped where it is a test fill.

    Raises:
        MissingArtefact: Nobody published it and nothing was imported yet.
    """
    return _stamped(digest(name), path(name)) if is_present(name) else digest(name)


def record_file(file: Path) -> str:
    """The same of a file."""
    return _stamped(file_digest(file), file)


def _stamped(known: str, file: Path) -> str:
    from anonbench.weights.filled import STAMP, is_filled

    return f"{STAMP} {known}" if is_filled(file) else known


def fetch(
    names: Iterable[str], *, offline: bool = False, source_dir: Path | None = None
) -> list[Path]:
    """Bring artefacts into the cache; those already there are left alone.

    Args:
        names: Names in the catalogue.
        offline: Never open a socket.
        source_dir: Folder with files that the user downloaded by hand; looked into first.

    Returns:
        The local path of each artefact, in the order asked for.

    Raises:
        MissingArtefact: No mirror could give some artefact; every failure is listed.
        Offline: A download would be needed, but `offline` was given.
        WrongHash: A file in `source_dir` has an artefact's name but not its content.
    """
    from anonbench.weights import fetching

    return fetching.fetch(names, offline=offline, source_dir=source_dir)


def import_file(name: str, source: Path) -> Path:
    """Take one artefact from a file (or, for a folder artefact, a folder) on this machine.

    Where the publisher gives no hash, the first import records it and later ones must match. An
    artefact with an importer is checked against its network and converted.

    Raises:
        WrongHash: The content is not the expected one.
        BadData: It is not what the importer expects.
        BadConfig: The artefact is made of several files, or `source` does not exist.
    """
    from anonbench.weights import fetching

    return fetching.import_file(name, source)
