"""docs/add-a-method.md: its commands are run and its files written, as somebody would."""

import json

import pytest
from newcomer import Newcomer
from pages import ROOT, blocks, commands

PAGE = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")
FIRST_PART, MEASURING = PAGE.split("\n## 6.")


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Newcomer:
    """A reader who followed the page up to the measuring, which needs fetched models."""
    reader = Newcomer.settled(tmp_path_factory.mktemp("page"))
    reader.follow(blocks(FIRST_PART))
    return reader


def test_the_page_is_followed_to_its_end_and_changes_only_files_of_the_scaffold(reader) -> None:
    found = blocks(FIRST_PART)
    scaffold = next(block.text for block in found if block.language == "text").split()
    written = [b.tag for b in found if b.language in ("toml", "python")]
    assert written
    for file in written:
        assert file.removeprefix("in ").removeprefix("block-shuffle/") in scaffold
    assert (reader.folder / "block-shuffle" / "pyproject.toml").is_file()


def test_the_method_of_the_page_can_be_measured_as_it_says(reader, artefact) -> None:
    for name in commands(MEASURING, "bash needs install")[0].split()[2:]:
        artefact(name)
    reader.follow(blocks(MEASURING))
    (result,) = (reader.folder / "runs").rglob("*.json")
    metrics = json.loads(result.read_text())["metrics"]
    recovered = next(m["value"] for m in metrics if m["name"] == "tar_recovered")
    assert recovered > next(m["value"] for m in metrics if m["name"] == "tar") + 0.5
