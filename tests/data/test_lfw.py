"""LFW in every arrangement that people have on disk, and the real one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.data import manifest, open_dataset
from anonbench.errors import BadData, BadImage
from anonbench.interfaces import Dataset
from anonbench.values import Pair, Sample

MakeLfw = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("anonbench_home")


@pytest.mark.parametrize(
    ("images", "pairs", "data_root"),
    [
        ("lfw/lfw-deepfunneled", "lfw/pairs.txt", "."),  # the developers' copy
        ("lfw/lfw-deepfunneled", "lfw/pairs.txt", "lfw"),
        ("lfw/lfw-deepfunneled", "lfw/pairs.txt", "lfw/lfw-deepfunneled"),
        ("lfw_home/lfw_funneled", "lfw_home/pairs.txt", "."),  # scikit-learn's data folder
        ("lfw_home/lfw_funneled", "lfw_home/pairs.txt", "lfw_home"),
        ("lfw", "pairs.txt", "."),  # the publisher's archive, unpacked
        ("lfw", "pairs.txt", "lfw"),
        ("lfw-funneled", "lfw-funneled/pairs.txt", "."),
        (".", "pairs.txt", "."),
    ],
)
def test_arrangements_give_the_same_dataset(
    make_lfw: MakeLfw, images: str, pairs: str, data_root: str
) -> None:
    root = make_lfw(images, pairs)
    dataset = open_dataset("lfw", root / data_root)
    assert len(dataset.samples()) == 8
    assert dataset.samples()[0] == Sample("Ann_A/Ann_A_0001.jpg", "Ann_A")
    assert list(dataset.pairs()) == [
        Pair(0, "Ann_A/Ann_A_0001.jpg", "Ann_A/Ann_A_0002.jpg", True),
        Pair(0, "Ann_A/Ann_A_0001.jpg", "Bob/Bob_0001.jpg", False),
        Pair(1, "Cid/Cid_0002.jpg", "Cid/Cid_0001.jpg", True),
        Pair(1, "Cid/Cid_0002.jpg", "Dan/Dan_0001.jpg", False),
    ]
    names = [file.path for file in dataset.manifest().files]
    assert len(names) == 9 and names[-1] == "pairs.txt"
    assert all((dataset.root / sample.id).is_file() for sample in dataset.samples())


def test_samples_are_sorted_and_read(make_lfw: MakeLfw) -> None:
    dataset = open_dataset("lfw", make_lfw())
    ids = [sample.id for sample in dataset.samples()]
    assert ids == sorted(ids)
    expected = np.asarray(Image.open(dataset.root / ids[3]))
    np.testing.assert_array_equal(dataset.read(ids[3]), expected)


def test_manifest_hash_is_the_same_for_another_arrangement(make_lfw: MakeLfw) -> None:
    root = make_lfw()
    first = open_dataset("lfw", root).manifest().hash
    shutil.move(root / "lfw" / "lfw-deepfunneled", root / "lfw" / "lfw")
    assert open_dataset("lfw", root / "lfw").manifest().hash == first


def test_two_copies_must_be_told_apart(make_lfw: MakeLfw) -> None:
    make_lfw()
    root = make_lfw("lfw/lfw_funneled")
    with pytest.raises(BadData, match="several copies of LFW: lfw_funneled, lfw-deepfunneled"):
        open_dataset("lfw", root / "lfw")
    chosen = open_dataset("lfw:images=lfw_funneled", root)
    assert chosen.root.name == "lfw_funneled"


def test_other_pairs_file(make_lfw: MakeLfw) -> None:
    root = make_lfw()
    (root / "lfw" / "pairsDevTest.txt").write_text("1\nDan\t1\t2\nDan\t1\tBob\t2\n")
    dataset = open_dataset("lfw:pairs=pairsDevTest.txt", root)
    assert [(p.fold, p.a) for p in dataset.pairs()] == [(0, "Dan/Dan_0001.jpg")] * 2
    with pytest.raises(BadData, match=r"no file absent\.txt"):
        open_dataset("lfw:pairs=absent.txt", root).pairs()


def test_one_missing_image_leaves_the_pairs_and_fails_when_read(make_lfw: MakeLfw) -> None:
    root = make_lfw()
    gone = "Bob/Bob_0001.jpg"
    (root / "lfw/lfw-deepfunneled" / gone).unlink()
    dataset = open_dataset("lfw", root)
    assert len(dataset.samples()) == 7
    assert len(dataset.pairs()) == 4
    with pytest.raises(BadImage, match=r"Bob_0001\.jpg does not exist"):
        dataset.read(gone)


def test_many_missing_images_are_a_wrong_folder(make_lfw: MakeLfw) -> None:
    root = make_lfw()
    for name in ("Bob/Bob_0001.jpg", "Cid/Cid_0001.jpg"):
        (root / "lfw/lfw-deepfunneled" / name).unlink()
    with pytest.raises(BadData) as caught:
        open_dataset("lfw", root).pairs()
    message = caught.value.what
    assert "Of 6 images" in message and "2 are not in" in message
    assert "Bob/Bob_0001.jpg (pairs.txt, line 3)" in message


def test_unknown_person_is_named_with_the_line(make_lfw: MakeLfw) -> None:
    root = make_lfw()
    pairs = root / "lfw/pairs.txt"
    pairs.write_text(pairs.read_text().replace("Dan", "Dam"))
    with pytest.raises(BadData) as caught:
        open_dataset("lfw", root).pairs()
    assert f"{pairs}, line 5: there is no person 'Dam'" in caught.value.what


def test_other_files_are_no_samples(make_lfw: MakeLfw) -> None:
    root = make_lfw()
    for name in ("Bob/Ann_A_0001.jpg", "Bob/Bob_1.jpg", "Bob/Bob_0001.jpg.txt", "Thumbs.db"):
        (root / "lfw/lfw-deepfunneled" / name).touch()
    assert len(open_dataset("lfw", root).samples()) == 8


# ------------------------------------------------------------------------------ the real thing
@pytest.fixture(scope="module")
def real(shared: Path) -> Dataset:
    return open_dataset("lfw", shared / "data")


def test_real_counts(real: Dataset) -> None:
    """The counts that PROTOCOLS.md P1 gives for View 2."""
    samples, pairs = real.samples(), real.pairs()
    assert len(samples) == 13_233
    assert len({sample.identity for sample in samples}) == 5_749
    assert len(pairs) == 6_000
    used = {image for pair in pairs for image in (pair.a, pair.b)}
    assert len(used) == 7_701
    assert len({image.split("/")[0] for image in used}) == 4_281
    assert len({pair.b for pair in pairs if pair.same}) == 2_556
    kinds = [(pair.fold, pair.same) for pair in pairs]
    assert kinds == [(k, same) for k in range(10) for same in (True, False) for _ in range(300)]


def test_real_folds_share_no_person(real: Dataset) -> None:
    folds: dict[str, set[int]] = {}
    for pair in real.pairs():
        for image in (pair.a, pair.b):
            folds.setdefault(image.split("/")[0], set()).add(pair.fold)
    assert all(len(found) == 1 for found in folds.values())


def test_the_second_manifest_reads_no_image(
    real: Dataset, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = real.manifest()
    assert len(first.files) == 13_234
    again = open_dataset("lfw", shared / "data")
    again.samples()
    read: list[Path] = []
    monkeypatch.setattr(manifest, "sha256_of", read.append)
    assert again.manifest().hash == first.hash
    assert read == []
