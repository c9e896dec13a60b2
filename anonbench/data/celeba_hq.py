"""CelebA-HQ (Karras et al. 2018), with CelebA's official partition and identities where given.

The mapping from CelebA-HQ's numbers to CelebA's files is that of CelebAMask-HQ (Lee et al. 2020,
https://github.com/switchablenorms/CelebAMask-HQ); partition and identities are files of CelebA
(Liu et al. 2015).
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from anonbench.data.numbered import Numbered
from anonbench.errors import BadData

_MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
_PARTITION = "list_eval_partition.txt"
_IDENTITIES = "identity_CelebA.txt"
_PARTS = {"celeba-train": "0", "celeba-val": "1", "celeba-test": "2"}
_FIRST = {"all30000": 30_000, "first808": 808}


class CelebaHq(Numbered):
    """Images `0.jpg` ... `29999.jpg`, numbered with or without leading zeros.

    Config:
        split: `all30000`; `first808` (those with the lowest numbers); or `celeba-train`,
            `celeba-val`, `celeba-test`, CelebA's official partition, for which mapping and
            partition must be in the folder of the images or the one above.

    Where the mapping and CelebA's identities are there, people are known by CelebA's numbers.
    """

    splits = {  # noqa: RUF012 (ClassVar in the base)
        **_FIRST,
        "celeba-train": 24_183,
        "celeba-val": 2_993,
        "celeba-test": 2_824,
    }
    total = 30_000
    places = (".", "CelebA-HQ-img", "CelebAMask-HQ/CelebA-HQ-img")
    pattern = re.compile(r"\d{1,6}")

    def files(self) -> dict[str, str]:
        """The images of the split, and the lists that say which these are and who is in them."""
        used = {_MAPPING, _PARTITION} if self.split in _PARTS else set()
        used |= {_MAPPING, _IDENTITIES} if self._people else set()
        return super().files() | {name: str(self._list(name)) for name in sorted(used)}

    def _numbers(self) -> Sequence[int]:
        return self._in_part if self.split in _PARTS else range(_FIRST[self.split])

    def _identity(self, number: int) -> str:
        if not self._people:
            return super()._identity(number)
        original = self._originals[number]
        if original not in self._people:
            raise BadData(f"{self._list(_IDENTITIES)} does not name {original}.")
        return self._people[original]

    @cached_property
    def _in_part(self) -> list[int]:
        """The numbers of the images in the chosen part of CelebA's partition."""
        parts = _table(self._list(_PARTITION), columns=2)
        chosen = _PARTS[self.split]
        found = [n for n, name in sorted(self._originals.items()) if parts.get(name) == chosen]
        if len(found) != self.splits[self.split]:
            raise BadData(
                f"{self._list(_MAPPING)} and {self._list(_PARTITION)} put {len(found):,} images "
                f"into {self.split}; officially there are {self.splits[self.split]:,}.",
                mend=f"Get the official {_MAPPING} of CelebAMask-HQ and {_PARTITION} of CelebA.",
            )
        return found

    @cached_property
    def _originals(self) -> dict[int, str]:
        """CelebA's file name by the number of the image."""
        path = self._list(_MAPPING)
        table = _table(path, columns=3)
        rows = {int(number): name for number, name in table.items() if number.isdecimal()}
        if sorted(rows) != list(range(self.total)):
            raise BadData(
                f"{path} does not name each of the images 0 to {self.total - 1}: "
                f"{len(rows):,} lines with a number.",
                mend=f"Get the official {_MAPPING} of CelebAMask-HQ.",
            )
        return rows

    @cached_property
    def _people(self) -> dict[str, str]:
        """CelebA's identity per file of CelebA, where it can be known; else nothing."""
        if self._find_list(_MAPPING) and (path := self._find_list(_IDENTITIES)):
            return _table(path, columns=2)
        return {}

    def _list(self, name: str) -> Path:
        path = self._find_list(name)
        if path is None:
            raise BadData(
                f"There is no file {name} in {self.root} or {self.root.parent}.",
                why=f"It says which images are in '{self.split}'.",
                mend=f"Put it there, or take all images: --dataset {self.card.name}",
            )
        return path

    def _find_list(self, name: str) -> Path | None:
        places = (folder / name for folder in (self.root, self.root.parent))
        return next((path for path in places if path.is_file()), None)


def _table(path: Path, columns: int) -> dict[str, str]:
    """The last column of a text table by the first; lines that start with a word are headers."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read: {error}.") from error
    rows: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or not fields[0][0].isdecimal():
            continue
        if len(fields) != columns or fields[0] in rows:
            raise BadData(f"{path}, line {number}: expected {columns} columns, found '{line}'.")
        rows[fields[0]] = fields[-1]
    return rows
