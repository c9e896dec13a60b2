"""Somebody who follows a page that installs packages, with a Python of its own to install into.

The blocks are those of `pages.py`; what it only parses, `bash needs install`, is run here.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from pages import Block, assert_printed

from anonbench import paths

PIP_OFFLINE = {
    # What the suite's own environment has is used: nothing is downloaded, for building neither.
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one as the value of `build_isolation`
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


@dataclass
class Newcomer:
    """Does what blocks say.

    Attributes:
        folder: Where commands are run and files are written.
        environment: Of the commands.
        printed: What the last commands printed.
    """

    folder: Path
    environment: dict[str, str]
    printed: str = ""

    @classmethod
    def settled(cls, folder: Path) -> "Newcomer":
        """With an environment and a cache below a folder; fetched weights are shared."""
        python = _fresh_python(folder / "env")
        programs = folder / "programs"
        programs.mkdir()
        for name, command in {
            "python": f"{python} -P",
            "anonbench": f"{python} -P -m anonbench",
            "pytest": f"{python} -P -m pytest -p no:cacheprovider",
            "pip": f"{sys.executable} -m pip --python {python}",
        }.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (programs / name).chmod(0o755)
        (folder / "home").mkdir()
        (folder / "home" / "weights").symlink_to(paths.home() / "weights")
        environment = {**os.environ, **PIP_OFFLINE, "COLUMNS": "200"}
        environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
        environment["ANONBENCH_HOME"] = str(folder / "home")
        (folder / "work").mkdir()
        return cls(folder / "work", environment)

    def follow(self, blocks: list[Block]) -> None:
        """Run the commands, write the files, and compare what is said to be printed or there."""
        for block in blocks:
            if block.fence == "bash needs install":
                self.printed = self.run(block.text)
            elif block.fence == "python run":
                self.printed = self.run(f"python - <<'END'\n{block.text}END\n")
            elif block.fence == "text":
                assert_printed(block.text, self.printed)
            elif block.tag.startswith("in "):
                assert block.text in (self.folder / block.tag.removeprefix("in ")).read_text()
            elif block.tag and block.language != "bash":
                file = self.folder / block.tag
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text, encoding="utf-8")

    def run(self, commands: str) -> str:
        """What they print; an AssertionError where one fails."""
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


def _fresh_python(folder: Path) -> Path:
    """A virtual environment that sees the packages of this one and installs into itself."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    own = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})\n" for path in sorted(own)]
    Path(site, "suite.pth").write_text("".join(lines))
    return python
