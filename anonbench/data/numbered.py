"""Datasets whose images are official numbers: which are of a split, and which are missing."""

import os
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar

from anonbench.cards import DatasetCard
from anonbench.data.base import ImageDataset
from anonbench.data.images import SUFFIXES
from anonbench.errors import BadConfig, BadData
from anonbench.values import Sample

_THOUSAND = re.compile(r"\d{2}000")


class Numbered(ImageDataset):
    """Images named by their number, counted from 0.

    Config:
        split: A name in `splits`.

    A few images of the split may be missing: they are samples that cannot be read, so that a run
    counts them. `root` is the folder of the images.

    Attributes:
        splits: Official number of images of each split.
        total: Official number of images.
        places: Where the folder of the images may stand below the dataset's.
        pattern: What the name of an image matches, without its extension.
        nested: Whether images may stand in one folder per thousand, such as `69000`.
    """

    splits: ClassVar[Mapping[str, int]]
    total: ClassVar[int]
    places: ClassVar[tuple[str, ...]]
    pattern: ClassVar[re.Pattern[str]]
    nested: ClassVar[bool] = False

    def __init__(self, card: DatasetCard, root: Path) -> None:
        super().__init__(card, next(self._folders(root), root))
        self.split = str(card.config["split"])
        if self.split not in self.splits:
            raise BadConfig(
                f"The dataset '{card.name}' has no split '{self.split}'.",
                why=f"Its splits are: {', '.join(self.splits)}.",
                mend=f"Write {card.name}:split={next(iter(self.splits))}",
            )
        self.official = {"images": self.splits[self.split]}

    @classmethod
    def fits(cls, folder: Path) -> bool:
        """Whether there is an image with a number at one of the known places."""
        return next(cls._folders(folder), None) is not None

    @abstractmethod
    def _numbers(self) -> Sequence[int]:
        """The numbers of the split's images."""

    def _identity(self, number: int) -> str:
        """The person in an image; unknown, and so the image itself."""
        return self._name(number)

    def samples(self) -> tuple[Sample, ...]:
        """All images of the split, sorted by id, missing ones included.

        Raises:
            BadData: More than a few of them are missing, or two files have the same number.
        """
        self._refuse_many_missing()
        samples = [Sample(self._name(n), self._identity(n)) for n in self._numbers()]
        return tuple(sorted(samples, key=lambda sample: sample.id))

    def _scan(self) -> Iterator[Sample]:
        present = [number for number in self._numbers() if number in self._paths]
        if self._paths and not present:
            raise BadData(
                f"{self.root} holds no image of the split '{self.split}' of '{self.card.name}', "
                f"only {len(self._paths)} others.",
            )
        for number in present:
            yield Sample(self._paths[number], self._identity(number))

    def _expected(self) -> dict[str, str]:
        self.on_disk()
        return {self._name(number): f"split {self.split}" for number in self._numbers()}

    @property
    def _spec(self) -> str:
        return f"{self.card.name}:split={self.split}"

    @cached_property
    def _paths(self) -> dict[int, str]:
        """The path of each image on disk by its number, of whatever split."""
        paths: dict[int, str] = {}
        for number, path in self._images(self.root):
            other = paths.setdefault(number, path)
            if other != path:
                raise BadData(
                    f"{self.root} holds two images with the number {number}: {other} and {path}.",
                    mend="Keep one copy of the dataset in that folder.",
                )
        self._refuse_other_numbers(max(paths, default=0))
        return paths

    def _refuse_other_numbers(self, largest: int) -> None:
        """Copies that count from 1, or by another dataset's numbers, would be other images."""
        if largest >= self.total:
            raise BadData(
                f"{self.root} holds an image with the number {largest}, but those of "
                f"'{self.card.name}' are 0 to {self.total - 1}.",
                why="Its files are numbered in another way than the official ones.",
                mend="Rename them to the official numbers, from 0 on.",
            )

    def _name(self, number: int) -> str:
        """The path of an image, as its neighbours are named if it is missing."""
        if number in self._paths:
            return self._paths[number]
        digits, suffix, nested = self._style
        folder = f"{number // 1000 * 1000:05d}/" if nested else ""
        return f"{folder}{number:0{digits}d}{suffix}"

    @cached_property
    def _style(self) -> tuple[int, str, bool]:
        """How the files are named: digits at least, extension, whether in a folder per 1000."""
        paths = [PurePosixPath(path) for path in self._paths.values()]
        first = paths[0]
        return min(len(path.stem) for path in paths), first.suffix, len(first.parts) > 1

    @classmethod
    def _folders(cls, folder: Path) -> Iterator[Path]:
        """The places below a folder where there are images."""
        places = (folder / place for place in cls.places)
        return (place for place in places if next(cls._images(place), None))

    @classmethod
    def _images(cls, folder: Path, below: str = "") -> Iterator[tuple[int, str]]:
        """Number and path of each image in a folder, which need not exist."""
        place = folder / below
        names = os.listdir(place) if place.is_dir() else []  # noqa: PTH208 (half the time)
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 (likewise)
            if suffix.lower() in SUFFIXES and cls.pattern.fullmatch(stem):
                yield int(stem), f"{below}{name}"
            elif cls.nested and not below and _THOUSAND.fullmatch(name):
                yield from cls._images(folder, f"{name}/")
