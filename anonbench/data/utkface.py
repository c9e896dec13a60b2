"""UTKFace (Zhang et al. 2017): faces with age, gender and race in the file name, no identities."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from anonbench.cards import DatasetCard
from anonbench.data.base import ImageDataset
from anonbench.values import Sample

# https://susanqq.github.io/UTKFace: [age]_[gender]_[race]_[date&time].jpg
_GENDERS = {"0": "male", "1": "female"}
_RACES = {"0": "White", "1": "Black", "2": "Asian", "3": "Indian", "4": "Others"}
_PLACES = (".", "UTKFace")
_FIELDS = 4
_NAME = re.compile(r"[0-9]{0,3}_.*\.jpe?g", re.IGNORECASE)


class UtkFace(ImageDataset):
    """Images `AGE_GENDER_RACE_DATETIME.jpg`, or `.jpg.chip.jpg` where aligned, in one folder.

    Nobody is known to be in two images. A few names lack a field, and do not tell which; of such
    an image only the age, which comes first, is known.
    """

    attribute_names = ("age", "gender", "race")

    def __init__(self, card: DatasetCard, root: Path) -> None:
        super().__init__(card, next((root / p for p in _PLACES if _holds(root / p)), root))

    @classmethod
    def fits(cls, folder: Path) -> bool:
        """Whether there is an image with an age at one of the known places."""
        return any(_holds(folder / place) for place in _PLACES)

    def attributes(self, sample_id: str) -> Mapping[str, str | int]:
        """Age in years, gender (`male`, `female`) and race (`White` ... `Others`), if known."""
        fields = sample_id.split("_")
        known: dict[str, str | int] = {"age": int(fields[0])} if fields[0] else {}
        if len(fields) == _FIELDS:
            known |= {"gender": _GENDERS[fields[1]]} if fields[1] in _GENDERS else {}
            known |= {"race": _RACES[fields[2]]} if fields[2] in _RACES else {}
        return known

    def _scan(self) -> Iterator[Sample]:
        for name in _images(self.root):
            yield Sample(name, name)


def _images(folder: Path) -> Iterator[str]:
    """Names of the images that begin with an age, or with the underscore after one."""
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 (half the time)
    return (name for name in names if _NAME.fullmatch(name))


def _holds(folder: Path) -> bool:
    return next(_images(folder), None) is not None
