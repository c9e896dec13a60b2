"""Which photos are read, and where what becomes of them goes."""

import os
from pathlib import Path

import pytest

from anonbench.errors import BadConfig
from anonbench.photos.files import photos_in, targets


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(paths) -> list[str]:
    return [path.name for path in paths]


def test_folders_are_searched_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(*(tmp_path / "in" / name for name in ("b.JPG", "a.png", "notes.txt", "sub/c.webp")))
    touch(tmp_path / "in" / ".hidden.jpg", tmp_path / "odd.xyz")
    found = photos_in([tmp_path / "odd.xyz", tmp_path / "in"], tmp_path / "out")
    assert names(found) == ["odd.xyz", "a.png", "b.JPG", "c.webp"]


def test_a_photo_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    again = [tmp_path / "a.jpg", tmp_path, tmp_path / "x" / ".." / "a.jpg"]
    (tmp_path / "x").mkdir()
    assert names(photos_in(again, tmp_path / "out")) == ["a.jpg"]


def test_what_was_written_below_the_input_is_no_input(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "anon" / "a.png", tmp_path / "anon" / "deep" / "b.png")
    assert names(photos_in([tmp_path], tmp_path / "anon")) == ["a.jpg"]


def test_a_folder_cannot_be_input_and_output(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    with pytest.raises(BadConfig, match="input and output at once"):
        photos_in([tmp_path], tmp_path / "x" / "..")


def test_no_photo_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="no photo"):
        photos_in([tmp_path], tmp_path / "out")


def test_equal_stems_get_numbers_and_nothing_is_written_twice(tmp_path: Path) -> None:
    given = ["a/x.jpg", "b/x.jpg", "a/x-2.png", "b/X.png", "c/x.jpg"]
    found = targets([tmp_path / name for name in given], Path("out"))
    assert names(found) == ["x.png", "x-2.png", "x-2-2.png", "X-3.png", "x-4.png"]
    assert len({name.lower() for name in names(found)}) == len(given)


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_a_photo_is_never_its_own_output_under_any_name(tmp_path: Path, make) -> None:
    touch(tmp_path / "a.png", tmp_path / "out" / "b.jpg")
    make(tmp_path / "a.png", tmp_path / "out" / "other.png")
    touch(tmp_path / "in" / "other.jpg")
    with pytest.raises(BadConfig, match="is itself one of the photos"):
        targets([tmp_path / "a.png", tmp_path / "in" / "other.jpg"], tmp_path / "out")
    with pytest.raises(BadConfig, match="never changed in place"):
        targets([tmp_path / "a.png"], tmp_path)
