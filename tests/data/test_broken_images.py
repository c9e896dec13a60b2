"""A folder in which one image in a hundred is broken, and people with a single image."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anonbench.cli.app import app
from anonbench.data import open_dataset
from anonbench.errors import BadData, BadImage

MakeFolder = Callable[..., Path]
EMPTY, CUT = "p07/1.png", "p42/0.jpg"
pytestmark = pytest.mark.usefixtures("anonbench_home")


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    """100 people with two images each, two of the 200 broken."""
    names = [f"p{person:02d}/{name}" for person in range(100) for name in ("0.jpg", "1.png")]
    root = make_folder(*names)
    (root / EMPTY).write_bytes(b"")
    (root / CUT).write_bytes((root / CUT).read_bytes()[:-200])
    return root


def verified(root: Path, *options: str) -> tuple[int, str]:
    command = ["data", "verify", "folder", "--data-root", str(root), *options]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    return result.exit_code, result.stdout


def test_verify_names_and_counts_the_broken_images(root: Path) -> None:
    status, text = verified(root)
    assert status == 1 and "200 images" in text and "damaged: 2" in text
    document = json.loads(verified(root, "--json")[1])
    assert document["damaged"].keys() == {EMPTY, CUT}
    assert "0 bytes" in document["damaged"][EMPTY] and "cut off" in document["damaged"][CUT]
    assert document["manifest"] == open_dataset("folder", root).manifest().hash


def test_the_dataset_works_and_its_broken_images_do_not(root: Path) -> None:
    dataset = open_dataset("folder", root)
    assert len(dataset.samples()) == len(dataset.manifest().files) == 200
    assert len(dataset.pairs()) > 0
    for name in (EMPTY, CUT):
        with pytest.raises(BadImage):
            dataset.read(name)
    assert dataset.read("p07/0.jpg").shape == (8, 8, 3)


def test_people_with_one_image_only(make_folder: MakeFolder) -> None:
    root = make_folder(*(f"{person:07d}/001.jpg" for person in range(12)))
    with pytest.raises(BadData, match="12 people, 0 of them with two images") as caught:
        open_dataset("folder", root).pairs()
    assert caught.value.mend == ""
    assert len(open_dataset("casia-webface", root).samples()) == 12
