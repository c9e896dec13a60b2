"""Which photos are meant, and where what becomes of them is written."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from anonbench.data.folder import image_files
from anonbench.errors import BadConfig


def photos_in(arguments: Iterable[Path], out: Path) -> list[Path]:
    """The photos that files and folders stand for, each once.

    Args:
        arguments: Files, taken as they are, and folders, searched to any depth.
        out: The output folder; photos below it were made by this command and do not count when a
            folder that holds it is searched.

    Raises:
        BadConfig: The output folder is one of the folders, or there is no photo at all.
    """
    found: dict[Path, Path] = {}
    for argument in arguments:
        for path in _expand(argument, out.resolve()):
            found.setdefault(path.resolve(), path)
    if not found:
        raise BadConfig(
            "There is no photo in what was named.", mend="Name image files, or folders with some."
        )
    return list(found.values())


def _expand(argument: Path, out: Path) -> list[Path]:
    if not argument.is_dir():
        return [argument]
    if argument.resolve() == out:
        raise BadConfig(
            f"The folder {argument} is input and output at once.",
            why="The next call would take what this one wrote for photos.",
            mend="Name another folder with --out.",
        )
    paths = (argument / relative for relative in image_files(argument))
    return [path for path in paths if out not in path.resolve().parents]


def targets(photos: Sequence[Path], out: Path) -> list[Path]:
    """A PNG below `out` for each photo: its stem, with a number where another has that name.

    Raises:
        BadConfig: One of them is itself among the photos.
    """
    inputs = {_file_id(photo) for photo in photos if photo.exists()}
    taken: set[str] = set()
    chosen = []
    for photo in photos:
        name, number = photo.stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{photo.stem}-{number}"
        taken.add(name.casefold())
        chosen.append(out / f"{name}.png")
        if chosen[-1].exists() and _file_id(chosen[-1]) in inputs:
            raise BadConfig(
                f"{chosen[-1]} would be written, but is itself one of the photos to read.",
                why="Photos are never changed in place.",
                mend="Name another folder with --out.",
            )
    return chosen


def _file_id(path: Path) -> tuple[int, int]:
    """What tells files apart whatever they are called."""
    status = path.stat()
    return status.st_dev, status.st_ino
