"""Every page of the documentation, as tests/pages.py says: its commands are run or understood."""

from pathlib import Path

import pages
import pytest

from anonbench import paths

FETCHED = paths.home() / "weights"


@pytest.fixture
def reader(anonbench, artefact, anonbench_home, tmp_path, monkeypatch) -> pages.Reader:
    """In an empty folder, with an empty cache but for what was fetched."""
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "results").symlink_to(pages.ROOT / "results")
    monkeypatch.chdir(folder)

    def bring(name: str) -> None:
        with monkeypatch.context() as outside:
            outside.setenv("ANONBENCH_HOME", str(FETCHED.parent))
            artefact(name)
        if not (anonbench_home / "weights").exists():
            anonbench_home.mkdir(exist_ok=True)
            (anonbench_home / "weights").symlink_to(FETCHED)

    return pages.Reader(folder, anonbench, bring)


def name(page: Path) -> str:
    return page.relative_to(pages.ROOT).as_posix()


@pytest.mark.parametrize("page", pages.PAGES, ids=name)
def test_every_block_is_of_the_convention_and_sound(page) -> None:
    pages.assert_known(page)
    for line in pages.mentioned(page):
        pages.understood(line, whole=False)


RUN = [page for page in pages.PAGES if any(block.is_run for block in pages.blocks(page))]


@pytest.mark.parametrize("page", RUN, ids=name)
def test_every_command_ends_and_prints_as_the_page_says(page, reader) -> None:
    reader.follow(page)
