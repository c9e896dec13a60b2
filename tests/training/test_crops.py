"""Training crops from a few real photographs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anonbench import registry
from anonbench.data.align import most_central, template
from anonbench.data.images import read_image
from anonbench.engine import models
from anonbench.errors import BadConfig, BadData
from anonbench.training import crops as module
from anonbench.training.crops import INDEX, Crops, Source, load_crops

PAIRED, UNPAIRED = ("Colin_Powell", "Tony_Blair"), ("Abba_Eban", "Zico")


@pytest.fixture(scope="module")
def data(shared: Path, artefact: Callable[[str], Path], tmp_path_factory) -> Path:
    """An LFW of four people, two of them in pairs.txt, and a folder with a picture of nobody."""
    artefact("dlib-shape-predictor-68")
    artefact("dlib-shape-predictor-5")
    root = tmp_path_factory.mktemp("data")
    for name in (*PAIRED, *UNPAIRED):
        source = shared / "data" / "lfw" / "lfw-deepfunneled" / name
        target = root / "lfw" / "lfw-deepfunneled" / name
        target.mkdir(parents=True)
        for file in sorted(source.iterdir())[:2]:
            shutil.copy(file, target)
    lines = ("1\t1", "Colin_Powell\t1\t2", "Colin_Powell\t1\tTony_Blair\t1")
    (root / "lfw" / "pairs.txt").write_text("".join(f"{line}\n" for line in lines))
    others = root / "others"
    others.mkdir()
    (others / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    import PIL.Image

    PIL.Image.new("RGB", (200, 200), "grey").save(others / "wall.png")
    return root


SOURCES = (
    Source(dataset="lfw", people="unpaired", upsample=0, repeat=2),
    Source(dataset="folder", path="others", upsample=0),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("crops") / "crops"


@pytest.fixture(scope="module")
def crops(data: Path, folder: Path) -> Crops:
    return load_crops(SOURCES, data, "ffhq-128", folder)


def test_people_in_pairs_are_left_out(crops: Crops, data: Path) -> None:
    images = sorted((data / "lfw" / "lfw-deepfunneled").glob("[AZ]*/*.jpg"))
    assert 2 <= len(images) <= 4
    assert sorted(crops.ids) == [f"./{file.parent.name}/{file.name}" for file in images]
    assert crops.repeat.tolist() == [2] * len(images)


def test_failures_are_counted_with_reasons(crops: Crops) -> None:
    assert crops.failed["others/wall.png"] == "no face found"
    assert "broken.jpg" in crops.failed["others/broken.jpg"]
    assert len(crops.failed) == 2


def test_crops_are_the_aligned_faces(crops: Crops, data: Path) -> None:
    detector = models.detector(registry.judges.card("dlib-hog"))
    for index, name in enumerate(crops.ids):
        image = read_image(data / "lfw" / "lfw-deepfunneled" / name)
        face = most_central(detector.detect(image, 0), image.shape[1], image.shape[0])
        assert face is not None and face.points68 is not None
        aligned = template("ffhq-128")
        np.testing.assert_array_equal(crops.images[index], aligned.crop(image, face))
        matrix = aligned.matrix(face)
        expected = face.points68 @ matrix[:, :2].T + matrix[:, 2]
        np.testing.assert_allclose(crops.points[index], expected, atol=1e-3)


def test_a_folder_is_used_again_for_the_same_sources_only(
    crops: Crops, data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []

    def search(*arguments: object) -> dict[str, object]:
        searches.append(arguments)
        raise BadData("searched")

    monkeypatch.setattr(module, "_find", search)
    again = load_crops(SOURCES, data, "ffhq-128", folder)
    assert again.ids == crops.ids and again.failed == crops.failed
    np.testing.assert_array_equal(again.images, crops.images)
    np.testing.assert_array_equal(again.points, crops.points)
    assert not searches
    with pytest.raises(BadConfig, match="other data"):
        load_crops(SOURCES[:1], data, "ffhq-128", folder)
    with pytest.raises(BadConfig, match="another alignment"):
        load_crops(SOURCES, data, "ffhq-256", folder)
    np.testing.assert_array_equal(
        load_crops(SOURCES, data, "ffhq-128", folder).images, crops.images
    )


def test_without_faces_there_is_nothing_to_train_on(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="No face was found in 2 images"):
        load_crops(SOURCES[1:], data, "ffhq-128", tmp_path / "none")
    assert not (tmp_path / "none" / INDEX).exists()


def test_the_index_says_of_what_the_crops_are(crops: Crops, data: Path, folder: Path) -> None:
    of = json.loads((folder / INDEX).read_text())["of"]
    assert of["data_root"] == str(data) and of["template"][0] == "ffhq-128"
    assert [source["people"] for source in of["sources"]] == ["unpaired", "all"]
