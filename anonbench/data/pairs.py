"""Verification pairs: reading LFW's `pairs.txt`, and making such pairs for other datasets."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from pathlib import Path

from anonbench.errors import BadData
from anonbench.values import Pair


@dataclass(frozen=True)
class PairLine:
    """One line of a pairs file: two images, each a person's name and the image's number."""

    line: int
    fold: int
    a: tuple[str, int]
    b: tuple[str, int]

    @property
    def same(self) -> bool:
        """Whether the pair is genuine."""
        return self.a[0] == self.b[0]

    @property
    def names(self) -> tuple[str, str]:
        """The names of the two people, equal in a genuine pair."""
        return self.a[0], self.b[0]


def read_pairs(path: Path) -> list[PairLine]:
    """Read a pairs file in LFW's format (http://vis-www.cs.umass.edu/lfw/README.txt).

    The header is `FOLDS N`, or `N` for one fold. Each fold has N lines `NAME I J` and then N
    lines `NAME I OTHER J`, separated by tabs or spaces.

    Raises:
        BadData: With the line number, whatever does not follow the format.
    """
    lines = _lines(path)
    if not lines:
        raise BadData(f"The pairs file {path} is empty.")
    folds, size = _header(path, *lines[0])
    expected = 2 * folds * size
    if len(lines) - 1 != expected:
        last = lines[min(expected + 1, len(lines) - 1)][0]
        raise BadData(
            f"{path}, line {last}: the header announces {folds} folds of {size} genuine and "
            f"{size} impostor pairs, {expected} lines, but {len(lines) - 1} follow it.",
            mend="Get the official file with: anonbench fetch lfw-pairs",
        )
    return [
        _pair(path, number, text, fold=index // (2 * size), genuine=index % (2 * size) < size)
        for index, (number, text) in enumerate(lines[1:])
    ]


def fold_pairs(
    fold: int, people: Sequence[Sequence[str]], limit: int | None = None, seed: int = 0
) -> list[Pair]:
    """The pairs of one fold: genuine ones first, each kind in the order of the images.

    Args:
        fold: The fold's number.
        people: Ids of the images of each person in the fold, in their order.
        limit: At most so many pairs of each kind, drawn without replacement, each pair of the
            kind being equally likely; None for all.
        seed: Decides which pairs are drawn.
    """
    ids = [image for images in people for image in images]
    starts = [end - len(images) for images, end in zip(people, _ends(people), strict=True)]
    own = [start for start, images in zip(starts, people, strict=True) for _ in images]
    # Image j makes a genuine pair with each image from its person's first on, and an impostor
    # pair with each image before that.
    genuine = [range(own[j], j) for j in range(len(ids))]
    impostor = [range(own[j]) for j in range(len(ids))]
    pairs = []
    for same, partners in ((True, genuine), (False, impostor)):
        chosen = sorted(_draw(partners, limit, f"{seed}\n{fold}\n{same}"))
        pairs += [Pair(fold, ids[i], ids[j], same) for i, j in chosen]
    return pairs


def _draw(partners: Sequence[range], limit: int | None, seed: str) -> Iterator[tuple[int, int]]:
    """Distinct pairs `(i, j)` with i in `partners[j]`, without listing all there are."""
    ends = _ends(partners)
    total = ends[-1] if ends else 0
    for rank in range(total) if limit is None or limit >= total else _ranks(total, limit, seed):
        j = bisect_right(ends, rank)
        yield partners[j][rank - ends[j]], j


def _ranks(total: int, number: int, seed: str) -> set[int]:
    """Distinct numbers below total from SHA-256, so that no Python version changes them."""
    ranks: set[int] = set()
    for step in count():
        if len(ranks) == number:
            break
        digest = hashlib.sha256(f"{seed}\n{step}".encode()).digest()
        ranks.add(int.from_bytes(digest) % total)
    return ranks


def _ends(groups: Sequence[Sequence[object]]) -> list[int]:
    return list(accumulate(len(group) for group in groups))


def _lines(path: Path) -> list[tuple[int, str]]:
    """The non-blank lines with their numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"The pairs file {path} cannot be read: {error}.") from error
    numbered = enumerate(text.splitlines(), start=1)
    return [(number, line) for number, line in numbered if line.strip()]


def _fields(text: str) -> list[str]:
    return [field.strip() for field in text.split("\t")] if "\t" in text else text.split()


def _header(path: Path, line: int, text: str) -> tuple[int, int]:
    fields = _fields(text)
    numbers = [int(field) for field in fields if field.isascii() and field.isdigit()]
    if len(numbers) != len(fields) or len(fields) not in (1, 2) or min(numbers) < 1:
        raise BadData(
            f"{path}, line {line}: the header must be 'FOLDS PAIRS' or 'PAIRS', "
            f"positive whole numbers, not '{text.strip()}'."
        )
    return (1, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _pair(path: Path, line: int, text: str, *, fold: int, genuine: bool) -> PairLine:
    where, fields = f"{path}, line {line}", _fields(text)
    form = "NAME I J" if genuine else "NAME I OTHER J"
    if len(fields) != len(form.split()):
        kind = "genuine" if genuine else "impostor"
        raise BadData(
            f"{where}: expected {kind} pair '{form}' of fold {fold + 1}, found '{text.strip()}'."
        )
    first, i, *other, j = fields
    pair = PairLine(
        line, fold, (first, _number(where, i)), (other[0] if other else first, _number(where, j))
    )
    if pair.a == pair.b or pair.same != genuine:
        problem = "an image is paired with itself" if genuine else f"both images are of {first}"
        raise BadData(f"{where}: {problem}.")
    return pair


def _number(where: str, text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise BadData(f"{where}: the image number must be a positive whole number, not '{text}'.")
