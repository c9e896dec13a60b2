"""UTKFace: what its file names tell, and the real one."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anonbench.cli.app import app
from anonbench.data import open_dataset
from anonbench.data.base import ImageDataset
from anonbench.data.verify import verify
from anonbench.errors import BadData, MissingArtefact

MakeFolder = Callable[..., Path]
pytestmark = pytest.mark.usefixtures("anonbench_home")


def opened(root: Path) -> ImageDataset:
    dataset = open_dataset("utkface", root)
    assert isinstance(dataset, ImageDataset)
    return dataset


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("1_0_0_20170110.jpg", {"age": 1, "gender": "male", "race": "White"}),
        ("26_1_1_20170110.jpg.chip.jpg", {"age": 26, "gender": "female", "race": "Black"}),
        ("116_1_2_2017.jpg.chip.jpg", {"age": 116, "gender": "female", "race": "Asian"}),
        ("30_0_3_2017.JPG", {"age": 30, "gender": "male", "race": "Indian"}),
        ("30_0_4_2017.jpg", {"age": 30, "gender": "male", "race": "Others"}),
        ("30_0_5_2017.jpg", {"age": 30, "gender": "male"}),
        ("30_2_4_2017.jpg", {"age": 30, "race": "Others"}),
        ("30__4_2017.jpg", {"age": 30, "race": "Others"}),
        ("_1_0_2017.jpg", {"gender": "female", "race": "White"}),
        # Which field is lacking is not to be known.
        ("61_1_20170109142408075.jpg.chip.jpg", {"age": 61}),
        ("44_2017.jpg", {"age": 44}),
        ("55_0_0_20170116232725357jpg.chip.jpg", {"age": 55, "gender": "male", "race": "White"}),
    ],
)
def test_what_a_name_tells(make_folder: MakeFolder, name: str, attributes: dict) -> None:
    dataset = opened(make_folder(name))
    (sample,) = dataset.samples()
    assert sample.id == sample.identity == name
    assert dataset.attributes(name) == attributes


def test_names_that_lack_a_field_are_counted_and_no_problem(make_folder: MakeFolder) -> None:
    dataset = opened(make_folder("1_0_0_1.jpg", "61_1_2.jpg", "_1_0_3.jpg", "cover.jpg"))
    report = verify(dataset)
    assert report.ok and report.images == 3 and report.people == 0
    assert report.unknown == {"age": 1, "gender": 1, "race": 1}
    assert report.ignored == ["cover.jpg"]


def test_list_prints_attributes(make_folder: MakeFolder) -> None:
    root = str(make_folder("1_0_0_1.jpg", "61_1_2.jpg"))
    command = ["data", "list", "utkface", "--data-root", root]
    plain = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    assert plain == "1_0_0_1.jpg\t\tage=1\tgender=male\trace=White\n61_1_2.jpg\t\tage=61\n"
    document = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert document["images"][1] == {"id": "61_1_2.jpg", "person": None, "attributes": {"age": 61}}


def test_there_are_no_pairs(make_folder: MakeFolder) -> None:
    with pytest.raises(BadData, match="'utkface' has no verification pairs"):
        opened(make_folder("1_0_0_1.jpg")).pairs()


def test_folder_of_other_images(make_folder: MakeFolder) -> None:
    with pytest.raises(MissingArtefact, match="utkface"):
        opened(make_folder("ann.jpg", "bob/1_0_0_1.jpg"))


def test_the_real_part_one(shared: Path) -> None:
    """Against counts made with shell tools."""
    dataset = opened(shared / "data")
    samples = dataset.samples()
    assert len(samples) == 9_780
    known = [dataset.attributes(sample.id) for sample in samples]
    assert all("age" in attributes for attributes in known)
    genders = Counter(attributes.get("gender") for attributes in known)
    assert genders == {"male": 4_372, "female": 5_406, None: 2}
    assert Counter(attributes.get("race") for attributes in known) == {
        "White": 5_265,
        "Black": 405,
        "Asian": 1_553,
        "Indian": 1_452,
        "Others": 1_103,
        None: 2,
    }
    assert dataset.read(samples[0].id).shape == (200, 200, 3)
