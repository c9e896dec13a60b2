"""The dataset without images: it is found without any folder."""

from pathlib import Path

import pytest

from anonbench.data import open_dataset
from anonbench.data.base import ImageDataset
from anonbench.data.verify import verify
from anonbench.errors import BadData, BadImage

pytestmark = pytest.mark.usefixtures("anonbench_home")


@pytest.mark.parametrize("data_root", [None, Path("nowhere")])
def test_no_images_need_no_folder(data_root: Path | None) -> None:
    dataset = open_dataset("none", data_root)
    assert dataset.samples() == () and dataset.manifest().files == ()
    with pytest.raises(BadData, match="no verification pairs"):
        dataset.pairs()
    with pytest.raises(BadImage, match=r"has no image 1\.jpg"):
        dataset.read("1.jpg")


def test_nothing_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset("none")
    assert isinstance(dataset, ImageDataset)
    report = verify(dataset)
    assert report.ok and report.images == 0 and report.ignored == []
