"""Labeled Faces in the Wild (Huang et al. 2007), in any of its published forms."""

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from anonbench.cards import DatasetCard
from anonbench.data.base import ImageDataset
from anonbench.data.pairs import PairLine, read_pairs
from anonbench.errors import BadData
from anonbench.values import Pair, Sample

# Names under which the publisher and scikit-learn ship the images; the folder itself comes first.
_FOLDERS = (".", "lfw", "lfw_funneled", "lfw-funneled", "lfw-deepfunneled", "lfw_deepfunneled")
_PARENTS = (".", "lfw_home")
_IMAGE = re.compile(r"(.+)_\d{4}\.jpg")


class Lfw(ImageDataset):
    """Images `NAME/NAME_0001.jpg` and a pairs file in or beside their folder.

    Config:
        images: Name of the image folder, needed only where there is more than one.
        pairs: Name of the pairs file, e.g. `pairsDevTest.txt` for View 1.

    Ids start at the person, so they are the same for every arrangement of the folders; `root`
    is the folder of the images.
    """

    official = {"images": 13_233, "people": 5_749}  # noqa: RUF012 (declared ClassVar in the base)

    def __init__(self, card: DatasetCard, root: Path) -> None:
        super().__init__(card, _only(card, root))

    @classmethod
    def fits(cls, folder: Path) -> bool:
        """Whether there is an image folder at one of the known places."""
        return bool(_image_folders(folder))

    @cached_property
    def pairs_file(self) -> Path:
        """The pairs file, in the folder of the images or beside that; else the fetched one."""
        name = str(self.card.config["pairs"])
        for folder in (self.root, self.root.parent):
            if (folder / name).is_file():
                return folder / name
        if name == "pairs.txt":
            from anonbench import weights

            return weights.path("lfw-pairs")
        raise BadData(f"There is no file {name} in {self.root} or {self.root.parent}.")

    def files(self) -> dict[str, str]:
        """The images and the pairs file, the latter under its bare name wherever it stands."""
        return {**super().files(), self.pairs_file.name: str(self.pairs_file)}

    def _scan(self) -> Iterator[Sample]:
        for person in _folders_in(self.root):
            for name in os.listdir(f"{self.root}/{person}"):  # noqa: PTH208 (half the time)
                match = _IMAGE.fullmatch(name)
                if match and match[1] == person:
                    yield Sample(f"{person}/{name}", person)

    def _make_pairs(self) -> list[Pair]:
        self._refuse_unknown_people()
        return [Pair(line.fold, _id(*line.a), _id(*line.b), line.same) for line in self._lines]

    def _expected(self) -> dict[str, str]:
        first: dict[str, str] = {}
        for line in self._lines:
            for image in (line.a, line.b):
                first.setdefault(_id(*image), f"{self.pairs_file.name}, line {line.line}")
        return first

    @cached_property
    def _lines(self) -> list[PairLine]:
        return read_pairs(self.pairs_file)

    def _refuse_unknown_people(self) -> None:
        people = set(_folders_in(self.root))
        named = {name: line.line for line in reversed(self._lines) for name in line.names}
        unknown = sorted((line, name) for name, line in named.items() if name not in people)
        if unknown:
            line, name = unknown[0]
            others = f", nor of {len(unknown) - 1} others that it names" if unknown[1:] else ""
            raise BadData(
                f"{self.pairs_file}, line {line}: there is no person '{name}' in {self.root}"
                f"{others}.",
                mend=f"See all that is missing with: anonbench data verify {self.card.name}",
            )


def _id(name: str, number: int) -> str:
    return f"{name}/{name}_{number:04d}.jpg"


def _only(card: DatasetCard, root: Path) -> Path:
    """The one image folder at or below root."""
    chosen = str(card.config["images"])
    found = [folder for folder in _image_folders(root) if chosen in ("", folder.name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadData(
            f"There is no folder {chosen or 'of LFW images'} in {root}.",
            mend=f"The layout must be: {card.layout}",
        )
    names = [folder.name for folder in found]
    raise BadData(
        f"{root} holds several copies of LFW: {', '.join(names)}.",
        mend=f"Name one: --dataset {card.name}:images={names[-1]}",
    )


def _image_folders(root: Path) -> list[Path]:
    places = [root / parent / name for parent in _PARENTS for name in _FOLDERS]
    return [place for place in places if _holds_people(place)]


def _holds_people(folder: Path) -> bool:
    """Whether the first few subfolders include one with its own first image."""
    if not folder.is_dir():
        return False
    return any((folder / name / f"{name}_0001.jpg").is_file() for name in _folders_in(folder)[:50])


def _folders_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
