"""The wheel, installed in a clean place: every entry point loads, and the core needs no torch."""

import os
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
EVERY_ENTRY_POINT = """
import anonbench, sys
from importlib.metadata import entry_points
assert sys.argv[1] in anonbench.__file__, anonbench.__file__
points = [p for kind in ("methods", "protocols", "judges", "datasets", "parity", "trainings")
          for p in entry_points(group="anonbench." + kind)]
for point in points:
    assert point.load() is not None
    assert sys.argv[1] in sys.modules[point.module].__file__, point
print(len(points))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target


def test_every_entry_point_loads_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    site = [str(installed), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    done = _python(site, tmp_path, "-c", EVERY_ENTRY_POINT, str(installed))
    assert done.returncode == 0, done.stderr
    text = (ROOT / "pyproject.toml").read_text()
    groups = re.findall(r"entry-points\.\"anonbench\.\w+\"\]\n((?:[\w-]+ = .*\n)+)", text)
    assert int(done.stdout) == sum(group.count("\n") for group in groups) > 0


def test_the_core_lists_and_reports_without_torch(installed: Path, tmp_path: Path) -> None:
    site = [str(installed), str(_core_dependencies(tmp_path / "core"))]
    script = str(installed / "bin" / "anonbench")
    assert _python(site, tmp_path, "-c", "import torch").returncode != 0
    reading = ("list methods", "list weights", "info lfw-tar", "list judges --json", "doctor")
    for words in (*reading, "new-method my-method"):
        done = _python(site, tmp_path, script, *words.split())
        assert done.returncode == 0, f"{words}: {done.stderr}"
        assert done.stdout.strip()
    baselines = ROOT / "results" / "baselines"
    done = _python(site, tmp_path, script, "table", str(baselines), "--format", "latex")
    assert done.returncode == 0, done.stderr
    assert r"\toprule" in done.stdout
    done = _python(site, tmp_path, script, "report", str(baselines), "--out", "report.html")
    assert done.returncode == 0, done.stderr
    assert "needs the Python package &#39;matplotlib&#39;" in (tmp_path / "report.html").read_text()


def _python(site: list[str], home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with no other packages than those in `site`, outside the checkout."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(site),
        "ANONBENCH_HOME": str(home / "home"),
    }
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=home, env=environment)


def _core_dependencies(folder: Path) -> Path:
    """A folder with links to what the core depends on, and nothing else."""
    folder.mkdir()
    waiting, seen = ["anonbench"], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        for requirement in map(Requirement, found.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
        if name != "anonbench":
            _link_files(found, folder)
    return folder


def _link_files(found, folder: Path) -> None:
    tops = {
        file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")
    }
    for top in tops:
        source = Path(str(found.locate_file(top)))
        if source.exists() and not (folder / top).exists():
            (folder / top).symlink_to(source)
