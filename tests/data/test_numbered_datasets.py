"""CelebA-HQ and FFHQ: splits, identities, and copies that are not as they should be."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.data import open_dataset
from anonbench.errors import BadConfig, BadData, BadImage, MissingArtefact

pytestmark = pytest.mark.usefixtures("anonbench_home")
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
SIZES = {"celeba-train": 24_183, "celeba-val": 2_993, "celeba-test": 2_824}


def put(folder: Path, names: Iterable[str]) -> Path:
    """Images of a pixel, all the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    first = folder.parent / f"{folder.name}.pixel"
    Image.fromarray(np.full((2, 2, 3), 9, np.uint8)).save(first, "PNG")
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        os.link(first, folder / name)
    return folder


def original(number: int) -> int:
    """CelebA's number of a CelebA-HQ image: a permutation of 1 ... 30000."""
    return number * 7 % 30_000 + 1


def put_lists(folder: Path, train: int = SIZES["celeba-train"]) -> None:
    """A mapping and a partition with as many images in each part as officially."""
    rows = [f"{n:<12}{original(n) - 1:<12}{original(n):06d}.jpg" for n in range(30_000)]
    header = "idx         orig_idx    orig_file"
    (folder / MAPPING).write_text("\n".join([header, *rows, ""]))
    ends = (train, train + SIZES["celeba-val"])
    parts = [f"{n:06d}.jpg {sum(n > end for end in ends)}" for n in range(1, 30_100)]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts))


def ids(spec: str, root: Path) -> list[str]:
    return [sample.id for sample in open_dataset(spec, root).samples()]


# ------------------------------------------------------------------------------------ CelebA-HQ
@pytest.mark.parametrize(
    ("place", "data_root"),
    [
        (".", "."),
        ("celeba-hq", "."),
        ("CelebA-HQ-img", "."),
        ("CelebAMask-HQ/CelebA-HQ-img", "."),
        ("celeba-hq/CelebAMask-HQ/CelebA-HQ-img", "."),
        ("CelebAMask-HQ/CelebA-HQ-img", "CelebAMask-HQ/CelebA-HQ-img"),
    ],
)
def test_arrangements_of_celeba_hq(tmp_path: Path, place: str, data_root: str) -> None:
    root = tmp_path / "data"
    put(root / place, [f"{number}.jpg" for number in range(808)])
    dataset = open_dataset("celeba-hq:split=first808", root / data_root)
    samples = dataset.samples()
    assert len(samples) == 808 and dataset.missing() == {}
    assert all(sample.identity == sample.id for sample in samples)
    assert dataset.read("17.jpg").shape == (2, 2, 3)
    with pytest.raises(BadData, match="'celeba-hq' has no verification pairs"):
        dataset.pairs()


def test_the_default_is_all_30000_images(tmp_path: Path) -> None:
    root = put(tmp_path / "celeba-hq", ["00000.png", "29999.png"])
    dataset = open_dataset("celeba-hq", root)
    assert dataset.card.config["split"] == "all30000"
    with pytest.raises(BadData, match="Of 30000 images that 'celeba-hq' needs, 29998 are not"):
        dataset.samples()


@pytest.mark.parametrize("beside", [True, False])
def test_official_test_images(tmp_path: Path, beside: bool) -> None:
    """Against a plain reading of the two lists, image by image."""
    lists = tmp_path if beside else put(tmp_path / "img", [])
    put_lists(lists)
    parts = dict(line.split() for line in (lists / "list_eval_partition.txt").open())
    wanted = {n for n in range(30_000) if parts[f"{original(n):06d}.jpg"] == "2"}
    put(tmp_path / "img", [f"{number}.jpg" for number in wanted])
    dataset = open_dataset("celeba-hq:split=celeba-test", tmp_path / "img")
    names = {sample.id for sample in dataset.samples()}
    assert names == {f"{number}.jpg" for number in wanted} and len(names) == 2_824
    assert {file.path for file in dataset.manifest().files} - names == {
        MAPPING,
        "list_eval_partition.txt",
    }


@pytest.mark.parametrize("split", SIZES)
def test_official_numbers_of_images(tmp_path: Path, split: str) -> None:
    put_lists(tmp_path)
    everyone = (number for number in range(30_000) if number % 500 == 0)
    root = put(tmp_path / "img", [f"{number}.jpg" for number in everyone])
    dataset = open_dataset(f"celeba-hq:split={split}", root)
    assert dataset.official["images"] == SIZES[split]
    with pytest.raises(BadData, match=f"Of {SIZES[split]} images that"):
        dataset.samples()


def test_partition_of_another_size_is_refused(tmp_path: Path) -> None:
    root = put(tmp_path / "img", ["0.jpg"])
    put_lists(root, train=24_000)
    with pytest.raises(BadData, match=r"24,000 images into celeba-train; .* 24,183") as caught:
        open_dataset("celeba-hq:split=celeba-train", root).samples()
    assert str(root / MAPPING) in caught.value.what


@pytest.mark.parametrize("absent", [MAPPING, "list_eval_partition.txt"])
def test_partition_without_its_lists(tmp_path: Path, absent: str) -> None:
    root = put(tmp_path / "img", ["0.jpg"])
    put_lists(root)
    (root / absent).unlink()
    with pytest.raises(BadData, match=f"no file {absent}"):
        open_dataset("celeba-hq:split=celeba-test", root).samples()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("idx orig_idx orig_file\n0 5 000006.jpg\n", "does not name each of the images 0 to 29999"),
        ("0 5\n", r"mapping.txt, line 1: expected 3 columns, found '0 5'"),
        ("0 5 a.jpg\n0 6 b.jpg\n", "line 2"),
        ("0x1 5 a.jpg\n", "does not name each"),
    ],
)
def test_mapping_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    root = put(tmp_path / "img", ["0.jpg"])
    put_lists(root)
    (root / MAPPING).write_text(text)
    with pytest.raises(BadData, match=message):
        open_dataset("celeba-hq:split=celeba-test", root).samples()


def test_identities_of_celeba(tmp_path: Path) -> None:
    root = put(tmp_path / "img", [f"{number}.jpg" for number in range(808)])
    put_lists(root)
    people = [f"{n:06d}.jpg {n % 100}" for n in range(1, 30_001)]
    (tmp_path / "identity_CelebA.txt").write_text("\n".join(people))
    dataset = open_dataset("celeba-hq:split=first808", root)
    found = {sample.id: sample.identity for sample in dataset.samples()}
    assert found == {f"{n}.jpg": str(original(n) % 100) for n in range(808)}
    assert "identity_CelebA.txt" in {file.path for file in dataset.manifest().files}
    (root / MAPPING).unlink()
    alone = open_dataset("celeba-hq:split=first808", root)
    assert all(sample.identity == sample.id for sample in alone.samples())
    assert len(alone.manifest().files) == 808


# ----------------------------------------------------------------------------------------- FFHQ
@pytest.mark.parametrize("nested", [True, False])
def test_splits_of_ffhq(tmp_path: Path, nested: bool) -> None:
    def name(n: int) -> str:
        return f"{n // 1000 * 1000:05d}/{n:05d}.png" if nested else f"{n:05d}.png"

    root = put(tmp_path / "ffhq", map(name, (0, 59_999, 60_000, 69_999)))
    val, train = (open_dataset(f"ffhq:split={split}", root) for split in ("val", "train"))
    assert [sample.id for sample in val.on_disk()] == [name(60_000), name(69_999)]
    assert [sample.id for sample in train.on_disk()] == [name(0), name(59_999)]
    assert name(68_123) in val.missing() and len(val.missing()) == 9_998
    assert len(train.missing()) == 59_998
    assert len(open_dataset("ffhq", tmp_path).missing()) == 69_996


# ------------------------------------------------------------------- copies that are not complete
def test_a_few_missing_images_are_samples_that_cannot_be_read(tmp_path: Path) -> None:
    root = put(tmp_path / "img", [f"{n:05d}.png" for n in range(808) if n not in (3, 500)])
    dataset = open_dataset("celeba-hq:split=first808", root)
    assert len(dataset.samples()) == 808 and len(dataset.on_disk()) == 806
    assert dataset.missing() == dict.fromkeys(["00003.png", "00500.png"], "split first808")
    with pytest.raises(BadImage, match=r"00003.png does not exist"):
        dataset.read("00003.png")
    assert len(dataset.manifest().files) == 806


def test_many_missing_images_are_refused_with_the_command_that_lists_them(tmp_path: Path) -> None:
    root = put(tmp_path / "img", [f"{n}.jpg" for n in range(700)])
    with pytest.raises(BadData, match="Of 808 images that 'celeba-hq' needs, 108") as caught:
        open_dataset("celeba-hq:split=first808", root).samples()
    assert caught.value.mend.endswith("anonbench data verify celeba-hq:split=first808")


def test_empty_split(tmp_path: Path) -> None:
    root = put(tmp_path / "ffhq", [f"{n:05d}.png" for n in range(5)])
    with pytest.raises(BadData, match="no image of the split 'val' of 'ffhq', only 5 others"):
        open_dataset("ffhq:split=val", root).samples()


@pytest.mark.parametrize("pair", [("7.jpg", "7.png"), ("7.jpg", "00007.jpg")])
def test_two_files_of_one_number(tmp_path: Path, pair: tuple[str, str]) -> None:
    root = put(tmp_path / "img", ["0.jpg", *pair])
    with pytest.raises(BadData, match="two images with the number 7") as caught:
        open_dataset("celeba-hq", root).samples()
    assert all(name in caught.value.what for name in pair)


def test_copy_that_counts_from_one(tmp_path: Path) -> None:
    root = put(tmp_path / "img", [f"{n:05d}.jpg" for n in (1, 2, 30_000)])
    with pytest.raises(BadData, match=r"the number 30000, but .* are 0 to 29999"):
        open_dataset("celeba-hq", root).samples()


def test_names_that_are_no_numbers_are_no_images_of_it(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(808)]
    root = put(tmp_path / "img", [*names, "portrait.jpg", "12a.jpg", "readme.txt"])
    assert sorted(ids("celeba-hq:split=first808", root)) == sorted(names)
    with pytest.raises(MissingArtefact, match="celeba-hq"):
        open_dataset("celeba-hq", put(tmp_path / "other", ["portrait.jpg", "x1.png"]))


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="no split 'test'") as caught:
        open_dataset("celeba-hq:split=test", put(tmp_path / "img", ["0.jpg"]))
    assert "celeba-test" in caught.value.why
