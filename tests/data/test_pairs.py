"""Pairs files with every mistake that people make, and pairs that are drawn."""

from itertools import combinations
from pathlib import Path

import pytest

from anonbench.data.pairs import fold_pairs, read_pairs
from anonbench.errors import BadData
from anonbench.values import Pair

GOOD = "2\t1\nAnn\t1\t2\nAnn\t1\tBob\t3\nCid\t4\t2\nCid\t1\tDan\t1\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pairs.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_folds_and_kinds(tmp_path: Path) -> None:
    lines = read_pairs(written(tmp_path, GOOD))
    assert [(p.line, p.fold, p.a, p.b, p.same) for p in lines] == [
        (2, 0, ("Ann", 1), ("Ann", 2), True),
        (3, 0, ("Ann", 1), ("Bob", 3), False),
        (4, 1, ("Cid", 4), ("Cid", 2), True),
        (5, 1, ("Cid", 1), ("Dan", 1), False),
    ]


def test_header_with_one_number_is_one_fold(tmp_path: Path) -> None:
    """The form of pairsDevTrain.txt and pairsDevTest.txt."""
    text = "2\nAnn\t1\t2\nBob\t1\t2\nAnn\t1\tBob\t1\nAnn\t2\tBob\t1\n"
    lines = read_pairs(written(tmp_path, text))
    assert [(p.fold, p.same) for p in lines] == [(0, True), (0, True), (0, False), (0, False)]


@pytest.mark.parametrize(
    "variant",
    [GOOD.replace("\t", " "), GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD + "\n \n"],
    ids=["spaces", "crlf", "byte order mark", "blank end"],
)
def test_harmless_variants_are_read(tmp_path: Path, variant: str) -> None:
    plain = read_pairs(written(tmp_path, GOOD))
    assert read_pairs(written(tmp_path, variant)) == plain


def test_names_with_spaces_between_tabs(tmp_path: Path) -> None:
    lines = read_pairs(written(tmp_path, "1\nAnn Lee\t1\t2\nAnn Lee\t1\tBob\t1\n"))
    assert lines[0].a == ("Ann Lee", 1)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("2\t1\n", "2\t2\n", 5, "8 lines, but 4 follow"),
        ("2\t1\n", "1\t1\n", 4, "2 lines, but 4 follow"),
        ("Cid\t4\t2\n", "", 4, "4 lines, but 3 follow"),
        ("2\t1\n", "two\t1\n", 1, "header"),
        ("2\t1\n", "2\t1\t1\n", 1, "header"),
        ("2\t1\n", "0\t1\n", 1, "header"),
        ("Ann\t1\t2\n", "Ann\t1\tx\n", 2, "whole number, not 'x'"),
        ("Ann\t1\t2\n", "Ann\t1.0\t2\n", 2, "whole number, not '1.0'"),
        ("Ann\t1\t2\n", "Ann\t0\t2\n", 2, "whole number, not '0'"),
        ("Ann\t1\t2\n", "Ann\t1\t-2\n", 2, "whole number, not '-2'"),
        ("Ann\t1\t2\n", "Ann\t1\n", 2, "expected genuine pair"),
        ("Cid\t1\tDan\t1", "Cid\t1\t2", 5, "expected impostor pair 'NAME I OTHER J' of fold 2"),
        ("Ann\t1\t2\n", "Ann\t1\t1\n", 2, "paired with itself"),
        ("Cid\t1\tDan\t1", "Cid\t1\tCid\t2", 5, "both images are of Cid"),
    ],
)
def test_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(BadData) as caught:
        read_pairs(path)
    assert caught.value.what.startswith(f"{path}, line {line}: ")
    assert says in caught.value.what


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is empty"):
        read_pairs(written(tmp_path, "\n"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(BadData, match="cannot be read"):
        read_pairs(tmp_path / "binary")


PEOPLE = [["a/1", "a/2", "a/3"], ["b/1"], ["c/1", "c/2"]]


def test_all_pairs_of_a_fold() -> None:
    ids = [image for images in PEOPLE for image in images]
    every = [(a, b, a[0] == b[0]) for a, b in combinations(ids, 2)]
    expected = [pair for pair in every if pair[2]] + [pair for pair in every if not pair[2]]
    assert fold_pairs(3, PEOPLE) == [Pair(3, *pair) for pair in expected]


def test_drawn_pairs_are_distinct_and_of_the_right_kind() -> None:
    people = [[f"{p}/{i}" for i in range(p % 7 + 1)] for p in range(60)]
    pairs = fold_pairs(0, people, limit=50, seed=1)
    assert len(set(pairs)) == 100
    assert [pair.same for pair in pairs] == [True] * 50 + [False] * 50
    assert all(pair.a != pair.b for pair in pairs)
    assert all((pair.a.split("/")[0] == pair.b.split("/")[0]) == pair.same for pair in pairs)


def test_draw_depends_on_seed_and_fold_only() -> None:
    people = [[f"{p}/{i}" for i in range(4)] for p in range(30)]
    first = fold_pairs(0, people, limit=20, seed=1)
    assert fold_pairs(0, people, limit=20, seed=1) == first
    assert fold_pairs(0, people, limit=20, seed=2) != first
    other = [Pair(0, p.a, p.b, p.same) for p in fold_pairs(1, people, limit=20, seed=1)]
    assert other != first


def test_each_pair_is_drawn_equally_often() -> None:
    """6 genuine pairs of one person and 1 of another: over seeds each comes equally often."""
    people = [["a/1", "a/2", "a/3", "a/4"], ["b/1", "b/2"]]
    drawn = [p for s in range(1400) for p in fold_pairs(0, people, limit=1, seed=s) if p.same]
    counts = [drawn.count(pair) for pair in set(drawn)]
    # Binomial(1400, 1/7): mean 200, standard deviation 13; five of them on either side.
    assert len(counts) == 7 and min(counts) > 135 and max(counts) < 265


def test_limit_beyond_what_there_is_gives_all() -> None:
    assert fold_pairs(0, PEOPLE, limit=1000) == fold_pairs(0, PEOPLE)
