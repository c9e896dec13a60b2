"""Any folder of images: who is who, and pairs that depend on nothing but the seed."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from anonbench.data import open_dataset
from anonbench.errors import BadConfig, BadData

MakeFolder = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("anonbench_home")


def people_of(root: Path, spec: str = "folder") -> dict[str, str]:
    return {sample.id: sample.identity for sample in open_dataset(spec, root).samples()}


def test_identity_is_the_subfolder(make_folder: MakeFolder) -> None:
    root = make_folder("ann/1.jpg", "ann/day2/2.PNG", "bob/x.JPeG", "alone.png")
    assert people_of(root) == {
        "alone.png": "alone.png",
        "ann/1.jpg": "ann",
        "ann/day2/2.PNG": "ann/day2",
        "bob/x.JPeG": "bob",
    }
    assert people_of(root, "folder:level=1")["ann/day2/2.PNG"] == "ann"


def test_hidden_files_and_other_files_do_not_count(make_folder: MakeFolder) -> None:
    root = make_folder("ann/1.jpg", ".trash/2.jpg", "ann/.3.jpg")
    (root / "ann" / "notes.txt").touch()
    assert list(people_of(root)) == ["ann/1.jpg"]


def test_links_are_followed_once(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder("ann/1.jpg", "ann/2.jpg")
    (root / "ann").rename(tmp_path / "elsewhere")
    (root / "ann").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(root)
    assert list(people_of(root)) == ["ann/1.jpg", "ann/2.jpg"]


def many(people: int, images: int) -> list[str]:
    return [f"p{p:02d}/{i}.png" for p, i in product(range(people), range(images))]


def test_pairs_are_subject_disjoint_and_limited(make_folder: MakeFolder) -> None:
    root = make_folder(*many(12, 4))
    pairs = open_dataset("folder:folds=3:pairs=20", root).pairs()
    assert len(pairs) == len(set(pairs)) == 3 * 2 * 20
    folds: dict[str, set[int]] = {}
    for pair in pairs:
        assert (pair.a.split("/")[0] == pair.b.split("/")[0]) == pair.same
        for image in (pair.a, pair.b):
            folds.setdefault(image.split("/")[0], set()).add(pair.fold)
    assert all(len(fold) == 1 for fold in folds.values())


def test_pairs_depend_on_the_seed_not_on_the_place(make_folder: MakeFolder) -> None:
    root = make_folder(*many(6, 3))
    spec = "folder:folds=2:pairs=5"
    first = open_dataset(spec, root).pairs()
    assert open_dataset(f"{spec}:seed=1", root).pairs() != first
    moved = root.rename(root.with_name("moved"))
    assert open_dataset(spec, moved).pairs() == first


def test_unknown_people_and_single_images_are_no_genuine_pair(make_folder: MakeFolder) -> None:
    root = make_folder("u1.png", "u2.png", "ann/1.png", "ann/2.png", "bob/1.png")
    pairs = open_dataset("folder:folds=1", root).pairs()
    assert [(pair.a, pair.b, pair.same) for pair in pairs] == [
        ("ann/1.png", "ann/2.png", True),
        ("ann/1.png", "bob/1.png", False),
        ("ann/2.png", "bob/1.png", False),
    ]


def test_too_few_people_says_what_would_do(make_folder: MakeFolder) -> None:
    root = make_folder(*many(6, 2), "single/1.png")
    with pytest.raises(BadData) as caught:
        open_dataset("folder", root).pairs()
    assert "10 folds: it has 7 people, 6 of them with two images" in caught.value.what
    assert caught.value.mend.endswith("folder:folds=3")
    pairs = open_dataset("folder:folds=3", root).pairs()
    assert {(pair.fold, pair.same) for pair in pairs} == set(product(range(3), (True, False)))


def test_no_identities_no_pairs(make_folder: MakeFolder) -> None:
    root = make_folder("1.png", "2.png")
    dataset = open_dataset("folder", root)
    assert len(dataset.samples()) == 2
    with pytest.raises(BadData, match="has 0 people") as caught:
        dataset.pairs()
    assert "subfolder" in caught.value.why and caught.value.mend == ""


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="holds no images of the dataset 'folder'"):
        open_dataset("folder", tmp_path).samples()


def test_name_that_cannot_stand_in_a_manifest(make_folder: MakeFolder) -> None:
    root = make_folder("ann/1\n2.jpg")
    with pytest.raises(BadData, match=r"'ann/1\\n2.jpg'"):
        open_dataset("folder", root).samples()


@pytest.mark.parametrize("setting", ["folds=0", "pairs=0", "level=-1"])
def test_settings_out_of_range(tmp_path: Path, setting: str) -> None:
    with pytest.raises(BadConfig, match="must be at least"):
        open_dataset(f"folder:{setting}", tmp_path)
