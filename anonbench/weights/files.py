"""Weights that come inside an installed package, or that a user names by their path."""

from importlib.util import find_spec
from pathlib import Path

from anonbench.errors import BadConfig, MissingArtefact
from anonbench.weights import cache


def packaged(name: str) -> Path:
    """A file that an installed package carries; the package is not imported.

    Args:
        name: `PACKAGE/FILE`, with a top-level package.

    Raises:
        MissingArtefact: The package is not installed or has no such file.
    """
    package, _, file = name.partition("/")
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, file)
        if path.is_file():
            return path
    raise MissingArtefact(
        f"The weights {name} are not in the installed package.",
        why=f"Nothing else is used in their place. {package} is built without them, or damaged.",
        mend="Reinstall it from a release, or name weights of your own in the method's settings.",
    )


def file_digest(path: Path) -> str:
    """SHA-256 of a file of the user's.

    Raises:
        BadConfig: It cannot be read.
    """
    try:
        return cache.file_digest(path)
    except OSError as error:
        raise BadConfig(f"The file {path} cannot be read: {error.strerror}.") from error
