"""The AT&T (ORL) database of faces, with pairs made after the pattern of LFW's View 2."""

from collections.abc import Iterator
from pathlib import Path

from anonbench.data.base import ImageDataset
from anonbench.data.pairs import fold_pairs
from anonbench.values import Pair, Sample

_PEOPLE, _IMAGES, _FOLDS = 40, 10, 10


class Orl(ImageDataset):
    """40 people with 10 images each, `s1/1.pgm` ... `s40/10.pgm`, 92 x 112 grey.

    Fold k has people 4k+1 ... 4k+4 and all pairs among their images: 180 genuine and 600
    impostor pairs, in the order of people and images by number. Nothing is drawn at random.
    """

    official = {"images": _PEOPLE * _IMAGES, "people": _PEOPLE}  # noqa: RUF012 (ClassVar in base)

    @classmethod
    def fits(cls, folder: Path) -> bool:
        """Whether the first person's first image is there."""
        return (folder / "s1" / "1.pgm").is_file()

    def _scan(self) -> Iterator[Sample]:
        for person in range(1, _PEOPLE + 1):
            for name in _images_of(person):
                if (self.root / name).is_file():
                    yield Sample(name, f"s{person}")

    def _expected(self) -> dict[str, str]:
        people = range(1, _PEOPLE + 1)
        return {name: "official" for person in people for name in _images_of(person)}

    def _make_pairs(self) -> list[Pair]:
        size = _PEOPLE // _FOLDS
        return [
            pair
            for fold in range(_FOLDS)
            for pair in fold_pairs(
                fold, [_images_of(fold * size + index) for index in range(1, size + 1)]
            )
        ]


def _images_of(person: int) -> list[str]:
    return [f"s{person}/{image}.pgm" for image in range(1, _IMAGES + 1)]
