"""`anonbench new-method`: what it writes works, and it harms nothing that is there."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from anonbench import registry
from anonbench.registry import Registry
from anonbench.scaffold import MethodPackage, write_method
from anonbench.testing import check_method, failures

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def everything(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


# ------------------------------------------------------------------------------ what is written
def install_without_pip(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry points of its pyproject.toml as an installer would leave them, on the path."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    groups = project["entry-points"]
    lines = [f"[{g}]\n" + "".join(f"{n} = {t}\n" for n, t in p.items()) for g, p in groups.items()]
    (info / "entry_points.txt").write_text("".join(lines))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(registry, "methods", Registry("method", "MethodCard"))


@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize("name", ["q", "wave-2-mask", "abcdefghij-abcdefghij-abcdefg"])
def test_what_is_written_passes_the_conformance_suite(
    tmp_path, monkeypatch, name, reversible
) -> None:
    name = f"{name}{'r' if reversible else 'i'}"  # each is imported in this process only once
    folder = write_method(MethodPackage(name, reversible), tmp_path)
    install_without_pip(folder, monkeypatch)
    checks = check_method(name, size=50)
    assert not failures(checks)
    assert {"recover: keys", "recover: honest"} <= {c.name for c in checks if c.passed} or (
        not reversible
    )
    assert registry.methods.card(name).reversible == reversible


@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize("name", ["q", "abcdefghij-abcdefghij-abcdefgh"])
def test_what_is_written_is_formatted_and_free_of_lint(tmp_path, name, reversible) -> None:
    folder = write_method(MethodPackage(name, reversible), tmp_path)
    ruff = [sys.executable, "-m", "ruff"]
    common = ["--isolated", "--no-cache", "--config", "line-length = 100", str(folder)]
    google = ["--config", "lint.pydocstyle.convention = 'google'", "--select", "B,D,E,F,I,N,RUF,UP"]
    google += ["--ignore", "D103,D107"]  # names of tests, and classes that say it themselves
    for command in (["check", *google], ["format", "--check"]):
        # Beside the suite's checkout, where anonbench is a package of others.
        done = subprocess.run(
            [*ruff, *command, *common], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


# ----------------------------------------------------------------------------------- the command
def test_json_names_every_file_and_the_next_steps(anonbench, tmp_path) -> None:
    done = anonbench(
        "new-method", "wave-mask", "--out", "some where/new", "--irreversible", "--json"
    )
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["method"] == "wave-mask"
    folder = tmp_path / "some where" / "new" / "wave-mask"
    assert (tmp_path / told["folder"]) == folder
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert sorted(tmp_path / path for path in told["files"]) == written
    assert "def recover" not in (folder / "wave_mask" / "method.py").read_text()
    assert told["next"][0] == "pip install -e './some where/new/wave-mask'"
    assert [entry.name for entry in folder.parent.iterdir()] == ["wave-mask"], (
        "nothing else is left"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Wave_Mask", "error: 'Wave_Mask' cannot be the name .*\n.*new-method wave-mask"),
        ("WaveMask", "new-method wave-mask"),
        ("9lives", "cannot be the name"),
        ("a--b", "cannot be the name"),
        ("a-", "cannot be the name"),
        ("../up", "cannot be the name"),
        ("wave\n", "cannot be the name"),
        ("", "cannot be the name"),
        ("x" * 31, "at most 30 characters"),
        ("pixelate", "is taken.*\n.*a method of this name"),
        ("lambda", "is taken.*\n.*a word of Python"),
        ("none", "is taken.*\n.*a word of Python"),
        ("all", "is taken.*\n.*uses this word itself"),
        ("tensor", "is taken.*\n.*uses this word itself"),
        ("json", "is taken.*\n.*Python module 'json'"),
        ("numpy", "is taken.*\n.*Python module 'numpy'"),
        ("scikit-learn", "is taken.*\n.*package of this name is installed"),
    ],
)
def test_a_name_that_cannot_be_is_a_clear_error(anonbench, tmp_path, name, message) -> None:
    done = anonbench("new-method", "--", name)
    assert done.code == 2
    assert re.search(message, done.err, re.DOTALL), done.err
    assert "mend: " in done.err and "Traceback" not in done.err
    assert not everything(tmp_path)


@pytest.mark.parametrize("there", ["scaffold", "empty folder", "file", "link to nothing"])
def test_nothing_is_ever_overwritten(anonbench, tmp_path, there) -> None:
    place = tmp_path / "wave-mask"
    if there == "scaffold":
        assert anonbench("new-method", "wave-mask").code == 0
        (place / "wave_mask" / "method.py").write_text("changed")
    elif there == "empty folder":
        place.mkdir()
    elif there == "file":
        place.write_text("mine")
    else:
        place.symlink_to("nowhere")
    before = everything(tmp_path)
    done = anonbench("new-method", "wave-mask")
    assert done.code == 2
    assert "exists already, and nothing is ever overwritten" in done.err
    assert everything(tmp_path) == before


def test_a_full_disk_leaves_nothing_half_written(anonbench, tmp_path, monkeypatch) -> None:
    write = Path.write_text

    def full(path: Path, text: str, encoding: str | None = None) -> int:
        if path.name == "method.py":
            raise OSError(28, "No space left on device")
        return write(path, text, encoding)

    monkeypatch.setattr(Path, "write_text", full)
    done = anonbench("new-method", "wave-mask")
    assert done.code == 3
    assert "cannot be written: No space left on device" in done.err
    assert not everything(tmp_path)


def test_out_that_is_a_file_is_a_clear_error(anonbench, tmp_path) -> None:
    (tmp_path / "notes").write_text("mine")
    done = anonbench("new-method", "wave-mask", "--out", "notes")
    assert done.code == 3
    assert "mend: Name another folder with --out DIR" in done.err


def test_the_checkout_of_the_suite_itself_is_refused(anonbench) -> None:
    done = anonbench("new-method", "wave-mask", "--out", str(ROOT / "methods"))
    assert done.code == 2
    assert f"anonbench new-method wave-mask --out {ROOT.parent}" in done.err
    assert not (ROOT / "methods" / "wave-mask").exists()
