"""CASIA-WebFace (Yi et al. 2014): a folder per person, or insightface's RecordIO pack of it."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import DatasetCard
from anonbench.data.base import ImageDataset
from anonbench.data.folder import image_files
from anonbench.data.images import decode_image
from anonbench.data.recordio import RecordFile
from anonbench.errors import BadData, BadImage
from anonbench.values import Sample

_PLACES = (".", "CASIA-WebFace", "faces_webface_112x112")
_PACK = ("train.rec", "train.idx")
_PERSON = re.compile(r"[0-9]+")
_UNKNOWN = "unknown"
# The median box in which dlib's HOG detector finds LFW's faces in crops such as the pack's,
# aligned to arcface-112, with one doubling.
_PACK_BOX = (0.145, 0.23, 0.855, 0.945)


class CasiaWebFace(ImageDataset):
    """Images `0000045/001.jpg`, or a pack of `train.rec` and `train.idx`, which counts if there.

    Ids in a pack are `PERSON/RECORD.jpg`, with the label as the person. An image whose record is
    broken is of an unknown person.
    """

    def __init__(self, card: DatasetCard, root: Path) -> None:
        root = next(_folders(root), root)
        self._pack = _Pack(root) if _has_pack(root) else None
        if self._pack:
            card = card.model_copy(update={"fallback_box": _PACK_BOX})
        super().__init__(card, root)
        images, people = (490_623, 10_572) if self._pack else (494_414, 10_575)
        self.official = {"images": images, "people": people}

    @classmethod
    def fits(cls, folder: Path) -> bool:
        """Whether a pack, or folders with numbers, are at one of the known places."""
        return next(_folders(folder), None) is not None

    def files(self) -> dict[str, str]:
        """The images, or the two files of the pack."""
        return {n: str(self.root / n) for n in _PACK} if self._pack else super().files()

    def read(self, sample_id: str) -> NDArray[np.uint8]:
        """The image `[H, W, 3]`, RGB; BadImage where its file or record is missing or broken."""
        return self._pack.read(sample_id) if self._pack else super().read(sample_id)

    def _scan(self) -> Iterator[Sample]:
        if self._pack:
            yield from self._pack.samples()
            return
        for path in image_files(self.root):
            if len(path.parts) == 2 and _PERSON.fullmatch(path.parts[0]):
                yield Sample(str(path), path.parts[0])


class _Pack:
    """The images in insightface's pack of a folder, which is opened and checked at once."""

    def __init__(self, folder: Path) -> None:
        self._records = RecordFile(*(folder / name for name in _PACK))
        self._keys = self._image_keys()

    def samples(self) -> Iterator[Sample]:
        """The images with their persons, in the order of the pack."""
        for key, labels in zip(self._keys, self._records.labels(self._keys), strict=True):
            person = _person(labels)
            name = f"{person}/{key}.jpg"
            yield Sample(name, name if person == _UNKNOWN else person)

    def read(self, sample_id: str) -> NDArray[np.uint8]:
        """An image; raises BadImage."""
        person, _, name = sample_id.partition("/")
        key = name.removesuffix(".jpg")
        record = self._records.read(int(key)) if key.isdecimal() else None
        if record is None or _person(record.labels) != person:
            raise BadImage(f"{self._records.path} holds no image {sample_id}.")
        return decode_image(record.image, f"{sample_id} in {self._records.path}")

    def _image_keys(self) -> Sequence[int]:
        """Record 0 lists no image but `[first, last]`: images are the records before `first`.

        The others list the records of each person. In a pack without such a record all records
        are images.
        """
        keys = self._records.keys
        try:
            head = self._records.read(keys[0])
        except BadImage as error:
            raise BadData(f"The pack cannot be opened: {error}") from error
        if head.image:
            return keys
        first = int(head.labels[0]) if np.isfinite(head.labels[0]) else 0
        images = keys[1:first]
        if not images or list(images) != list(range(1, first)):
            raise BadData(
                f"{self._records.path} does not fit its index: its first record says that the "
                f"records 1 to {first - 1} are images, and not all of these are there.",
                why="The pack is not in insightface's layout, or its index is cut off.",
                mend="Get both files again.",
            )
        return images


def _person(labels: tuple[float, ...]) -> str:
    """The first label, which must be a whole number."""
    known = labels and labels[0] >= 0 and labels[0].is_integer()
    return str(int(labels[0])) if known else _UNKNOWN


def _folders(folder: Path) -> Iterator[Path]:
    """The places below a folder that hold the dataset."""
    places = (folder / place for place in _PLACES)
    return (place for place in places if _has_pack(place) or _has_people(place))


def _has_pack(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _PACK)


def _has_people(folder: Path) -> bool:
    """Whether a folder has a person's, with an image."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        people = (entry.path for entry in entries if _PERSON.fullmatch(entry.name))
        return any(next(image_files(Path(path)), None) for path in islice(people, 50))
