"""docs/add-a-method.md: its commands are run and its files written, as somebody would."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
from pages import ROOT, assert_printed, blocks, commands

from anonbench import paths

PAGE = (ROOT / "docs" / "add-a-method.md").read_text(encoding="utf-8")
FIRST_PART, MEASURING = PAGE.split("\n## 6.")


@dataclass
class Reader:
    """Somebody who follows the page in a folder, with a Python of its own to install into."""

    folder: Path
    environment: dict[str, str]
    printed: str = ""
    followed: int = 0

    def follow(self, text: str) -> None:
        """Run the commands, write the files, and compare what the page says is printed or there."""
        for language, place, content in blocks(text):
            if language == "bash":
                self.printed = self._run(content)
            elif language == "text":
                assert_printed(content, self.printed)
            elif place.startswith("in "):
                assert content in (self.folder / place.removeprefix("in ")).read_text()
            else:
                assert (self.folder / place).is_file(), f"{place} is none of the scaffold's files"
                (self.folder / place).write_text(content)
            self.followed += 1

    def _run(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    """A reader who followed the page up to the measuring, which needs fetched models."""
    folder = tmp_path_factory.mktemp("page")
    python = fresh_python(folder / "env")
    programs = folder / "programs"
    programs.mkdir()
    for name, command in {
        "anonbench": f"{python} -P -m anonbench",
        "pytest": f"{python} -P -m pytest -p no:cacheprovider",
        "pip": f"{sys.executable} -m pip --python {python}",
    }.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (programs / name).chmod(0o755)
    (folder / "home").mkdir()
    (folder / "home" / "weights").symlink_to(paths.home() / "weights")
    reader = Reader(folder / "work", {**os.environ, **PIP_OFFLINE, "COLUMNS": "200"})
    reader.environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    reader.environment["ANONBENCH_HOME"] = str(folder / "home")
    reader.folder.mkdir()
    reader.follow(FIRST_PART)
    return reader


PIP_OFFLINE = {
    # What the suite's own environment has is used: nothing is downloaded, for building neither.
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one as the value of `build_isolation`
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


def fresh_python(folder: Path) -> Path:
    """A virtual environment that sees the packages of this one and installs into itself."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(own)]
    Path(site, "suite.pth").write_text("".join(lines))
    return python


def test_the_page_is_true_to_its_last_block(reader) -> None:
    assert reader.followed == len(blocks(FIRST_PART))
    assert (reader.folder / "block-shuffle" / "pyproject.toml").is_file()


def test_the_method_of_the_page_can_be_measured_as_it_says(reader, artefact) -> None:
    for name in commands(MEASURING, "bash needs install")[0].split()[2:]:
        artefact(name)
    before = reader.followed
    reader.follow(MEASURING)
    assert reader.followed - before == len(blocks(MEASURING)) > 0
    (result,) = (reader.folder / "runs").rglob("*.json")
    metrics = json.loads(result.read_text())["metrics"]
    recovered = next(m["value"] for m in metrics if m["name"] == "tar_recovered")
    assert recovered > next(m["value"] for m in metrics if m["name"] == "tar") + 0.5
