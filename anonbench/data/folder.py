"""Any folder of images; the subfolder that holds an image is its person."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from anonbench.cards import DatasetCard
from anonbench.data.base import ImageDataset
from anonbench.data.images import SUFFIXES
from anonbench.data.pairs import fold_pairs
from anonbench.errors import BadConfig, BadData
from anonbench.values import Pair, Sample


class Folder(ImageDataset):
    """The images at any depth below a folder; hidden files and folders do not count.

    Config:
        level: Which folder of an image's path is its person: 1 is the one right below the root,
            0 the one that holds the image.
        folds: Number of folds; no person is in two of them.
        pairs: At most so many genuine and so many impostor pairs per fold.
        seed: Decides who is in which fold and which pairs are drawn.

    An image in no subfolder is of an unknown person: its identity is its own name, and it is in
    no pair.
    """

    def __init__(self, card: DatasetCard, root: Path) -> None:
        super().__init__(card, root)
        self._level = _at_least(0, card, "level")
        self._folds = _at_least(1, card, "folds")
        self._size = _at_least(1, card, "pairs")
        self._seed = int(card.config["seed"])

    @classmethod
    def fits(cls, folder: Path) -> bool:
        """Any folder will do."""
        return folder.is_dir()

    def _scan(self) -> Iterator[Sample]:
        for path in image_files(self.root):
            folders = path.parts[:-1]
            known = folders[: self._level] if self._level else folders
            yield Sample(str(path), "/".join(known) or path.name)

    def _make_pairs(self) -> list[Pair]:
        pairs = []
        for fold, people in enumerate(self._people_by_fold()):
            pairs += fold_pairs(fold, people, self._size, self._seed)
        return pairs

    def _people_by_fold(self) -> list[list[list[str]]]:
        """Images per person per fold; people with several images are dealt out first."""
        people: dict[str, list[str]] = {}
        for sample in self.samples():
            if "/" in sample.id:
                people.setdefault(sample.identity, []).append(sample.id)
        several = [name for name in people if len(people[name]) > 1]
        self._require_people(len(people), len(several))
        names = sorted(people, key=lambda name: (len(people[name]) == 1, self._rank(name)))
        return [
            [people[name] for name in sorted(names[fold :: self._folds])]
            for fold in range(self._folds)
        ]

    def _rank(self, name: str) -> str:
        return hashlib.sha256(f"{self._seed}\n{name}".encode()).hexdigest()

    def _require_people(self, people: int, several: int) -> None:
        """Each fold needs a genuine pair and an impostor pair."""
        most = min(several, people // 2)
        if self._folds > most:
            raise BadData(
                f"{self.root} cannot give pairs in {self._folds} folds: it has {people} people, "
                f"{several} of them with two images or more.",
                why="Each fold needs two people, one of them with two images; "
                "the subfolder that holds an image is its person.",
                mend=f"Use fewer folds: --dataset {self.card.name}:folds={most}" if most else "",
            )


def _at_least(least: int, card: DatasetCard, key: str) -> int:
    value = int(card.config[key])
    if value < least:
        raise BadConfig(f"{card.name}:{key} must be at least {least}, not {value}.")
    return value


def image_files(root: Path) -> Iterator[PurePosixPath]:
    """Paths of all images below a folder, relative to it and sorted within each folder.

    Hidden files and folders do not count. Links are followed; a folder that is reached twice
    counts once.
    """
    seen = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield PurePosixPath(Path(folder, name).relative_to(root).as_posix())
