"""CASIA-WebFace as folders and as a RecordIO pack that a writer of our own made."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rec_writer import MAGIC, image_record, write_pack

from anonbench.data import open_dataset
from anonbench.data.base import ImageDataset
from anonbench.data.verify import checked, verify
from anonbench.errors import BadData, BadImage, MissingArtefact

MakeFolder = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("anonbench_home")


def jpeg(seed: int, magic_at: tuple[int, ...] = ()) -> bytes:
    """A JPEG; with the magic number in a comment at these offsets of a record, if any."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    if not magic_at:
        return data
    comment = bytearray(b"." * 100)
    for place in magic_at:
        start = place - len(image_record(0.0, b"")) - 6  # after start of image, marker, length
        comment[start : start + 4] = MAGIC
    return data[:2] + b"\xff\xfe" + struct.pack(">H", 102) + bytes(comment) + data[2:]


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


IMAGES = {1: jpeg(1), 2: jpeg(2, magic_at=(40, 44, 80)), 3: jpeg(3), 4: jpeg(4)}
PEOPLE = {1: "0", 2: "0", 3: "1", 4: "2"}
RECORDS = {
    0: image_record([5.0, 8.0], b""),
    1: image_record(0.0, IMAGES[1], 1),
    2: image_record(0.0, IMAGES[2], 2),
    3: image_record([1.0, 77.0], IMAGES[3], 3),
    4: image_record(2.0, IMAGES[4], 4),
    5: image_record([1.0, 3.0], b"", 5),
    6: image_record([3.0, 4.0], b"", 6),
    7: image_record([4.0, 5.0], b"", 7),
}


def opened(root: Path) -> ImageDataset:
    dataset = open_dataset("casia-webface", root)
    assert isinstance(dataset, ImageDataset)
    return dataset


# -------------------------------------------------------------------------------------- folders
@pytest.mark.parametrize("place", [".", "CASIA-WebFace", "casia-webface/CASIA-WebFace"])
def test_a_folder_per_person(make_folder: MakeFolder, place: str) -> None:
    names = ["0000045/001.jpg", "0000045/002.jpg", "0000099/007.jpg"]
    root = make_folder(*(f"{place}/{name}" for name in [*names, "0000099/deep/8.jpg", "x/1.jpg"]))
    dataset = opened(root)
    assert {sample.id: sample.identity for sample in dataset.samples()} == {
        name: name.split("/")[0] for name in names
    }
    assert dataset.read(names[2]).shape == (8, 8, 3)
    assert [file.path for file in dataset.manifest().files] == names
    with pytest.raises(BadData, match="no verification pairs"):
        dataset.pairs()


def test_folders_of_names_are_not_casia(make_folder: MakeFolder) -> None:
    with pytest.raises(MissingArtefact, match="casia-webface"):
        opened(make_folder("ann/001.jpg", "bob/001.jpg"))


# ----------------------------------------------------------------------------------------- pack
@pytest.mark.parametrize("place", [".", "faces_webface_112x112"])
def test_pack(tmp_path: Path, place: str) -> None:
    write_pack(tmp_path / place, RECORDS)
    (tmp_path / place / "property").write_text("3,112,112")
    dataset = opened(tmp_path)
    people = {sample.id: sample.identity for sample in dataset.samples()}
    assert people == {f"{person}/{key}.jpg": person for key, person in PEOPLE.items()}
    for key, person in PEOPLE.items():
        assert np.array_equal(dataset.read(f"{person}/{key}.jpg"), decoded(IMAGES[key]))
    assert [file.path for file in dataset.manifest().files] == ["train.idx", "train.rec"]
    assert dataset.card.fallback_box != opened_box_of_folders()


def opened_box_of_folders() -> tuple[float, ...]:
    from anonbench import registry

    return registry.datasets.card("casia-webface").fallback_box


def test_a_record_is_stored_in_parts_where_it_holds_the_magic_number(tmp_path: Path) -> None:
    """Otherwise the images above would not test what they are for."""
    offsets = write_pack(tmp_path, RECORDS)
    data = (tmp_path / "train.rec").read_bytes()
    (word,) = struct.unpack_from("<I", data, offsets[2] + 4)
    assert word >> 29 == 1
    assert data[offsets[2] : offsets[3]].count(MAGIC) == 4
    assert RECORDS[2].count(MAGIC) == 3


def test_pack_in_another_order(tmp_path: Path) -> None:
    write_pack(tmp_path, dict(reversed(RECORDS.items())))
    dataset = opened(tmp_path)
    assert np.array_equal(dataset.read("2/4.jpg"), decoded(IMAGES[4]))


def test_pack_without_a_list_of_people(tmp_path: Path) -> None:
    write_pack(tmp_path, {key: RECORDS[key] for key in (1, 2, 3, 4)})
    assert {sample.id for sample in opened(tmp_path).samples()} == {
        f"{person}/{key}.jpg" for key, person in PEOPLE.items()
    }


def test_verify_decodes_each_record_and_hashes_the_files(tmp_path: Path) -> None:
    write_pack(tmp_path, RECORDS)
    steps: list[int] = []
    report = verify(opened(tmp_path), advance=steps.append)
    assert report.ok and (report.images, report.people) == (4, 3)
    assert sum(steps) == len(checked(opened(tmp_path))) == 6


# --------------------------------------------------------------------------------- broken packs
def damaged(folder: Path, offset: int, data: bytes) -> None:
    content = bytearray((folder / "train.rec").read_bytes())
    content[offset : offset + len(data)] = data
    (folder / "train.rec").write_bytes(content)


@pytest.mark.parametrize(
    ("offset", "data", "sample"),
    [
        (0, b"\0\0\0\0", "unknown/3.jpg"),  # magic number
        (4, b"\xff\xff\xff\x1f", "1/3.jpg"),  # length
        (4, b"\x03\0\0\0", "unknown/3.jpg"),  # too short for a header
        (7, b"\x40", "unknown/3.jpg"),  # the middle of a record
        (40, b"\0" * 40, "1/3.jpg"),  # image
    ],
)
def test_one_broken_record_is_one_bad_image(
    tmp_path: Path, offset: int, data: bytes, sample: str
) -> None:
    offsets = write_pack(tmp_path, RECORDS)
    damaged(tmp_path, offsets[3] + offset, data)
    dataset = opened(tmp_path)
    assert [s.id for s in dataset.samples()] == sorted(["0/1.jpg", "0/2.jpg", "2/4.jpg", sample])
    with pytest.raises(BadImage, match=r"3"):
        dataset.read(sample)
    assert np.array_equal(dataset.read("2/4.jpg"), decoded(IMAGES[4]))
    report = verify(dataset)
    assert list(report.damaged) == [sample] and len(report.manifest.files) == 2


def test_a_record_of_an_unknown_person(tmp_path: Path) -> None:
    write_pack(tmp_path, {**RECORDS, 3: image_record(float("nan"), IMAGES[3])})
    dataset = opened(tmp_path)
    (sample,) = (sample for sample in dataset.samples() if "unknown" in sample.id)
    assert sample.identity == sample.id == "unknown/3.jpg"
    assert np.array_equal(dataset.read(sample.id), decoded(IMAGES[3]))


@pytest.mark.parametrize("sample", ["0/3.jpg", "0/9.jpg", "1/x.jpg", "1/2", "3.jpg"])
def test_images_that_a_pack_does_not_hold(tmp_path: Path, sample: str) -> None:
    write_pack(tmp_path, RECORDS)
    with pytest.raises(BadImage):
        opened(tmp_path).read(sample)


@pytest.mark.parametrize("left", [0, 10, 40, 0.5, 0.99])
def test_cut_off_pack(tmp_path: Path, left: float) -> None:
    write_pack(tmp_path, RECORDS)
    content = (tmp_path / "train.rec").read_bytes()
    (tmp_path / "train.rec").write_bytes(content[: int(left if left > 1 else left * len(content))])
    with pytest.raises(BadData, match=r"train.rec does not fit its index train.idx"):
        opened(tmp_path)


@pytest.mark.parametrize("lines", [1, 3, 6])
def test_cut_off_index(tmp_path: Path, lines: int) -> None:
    write_pack(tmp_path, RECORDS)
    kept = (tmp_path / "train.idx").read_text().splitlines()[:lines]
    (tmp_path / "train.idx").write_text("\n".join(kept))
    with pytest.raises(BadData, match=r"does not fit its index .*: the file has more"):
        opened(tmp_path)


@pytest.mark.parametrize("text", ["", "0\t0\n1\n", "0 0\n0 8\n", "a\tb\n", "0\t-8\n", "1\n2\n"])
def test_index_that_is_none(tmp_path: Path, text: str) -> None:
    write_pack(tmp_path, RECORDS)
    (tmp_path / "train.idx").write_text(text)
    with pytest.raises(BadData, match="pack"):
        opened(tmp_path)


@pytest.mark.parametrize("name", ["train.rec", "train.idx"])
def test_half_of_a_pack(tmp_path: Path, name: str) -> None:
    write_pack(tmp_path, RECORDS)
    (tmp_path / name).unlink()
    with pytest.raises(BadData, match=f"cannot be opened: .*{name}"):
        opened(tmp_path)


@pytest.mark.parametrize("first", [1.0, 4.0e6, float("nan")])
def test_list_of_people_that_does_not_fit(tmp_path: Path, first: float) -> None:
    write_pack(tmp_path, {**RECORDS, 0: image_record([first, 8.0], b"")})
    with pytest.raises(BadData, match=r"does not fit its index"):
        opened(tmp_path)


def test_broken_first_record(tmp_path: Path) -> None:
    write_pack(tmp_path, RECORDS)
    damaged(tmp_path, 0, b"\0")
    with pytest.raises(BadData, match="cannot be opened: Record 0"):
        opened(tmp_path)
