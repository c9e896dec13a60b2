import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from weights_helpers import entry

from anonbench import weights
from anonbench.errors import MissingArtefact, UserError
from anonbench.weights import mirrors
from anonbench.weights.artefacts import Mirror

Offer = Callable[[str], None]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip looks for packages, instead of any index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_wheel(index: Path, files: dict[str, bytes]) -> None:
    info = "some_models-1.0.dist-info"
    with zipfile.ZipFile(index / "some_models-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: some-models\nVersion: 1.0")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")


def put_sdist(index: Path, files: dict[str, bytes]) -> None:
    metadata = b"Metadata-Version: 2.1\nName: some-models\nVersion: 1.0\n"
    with tarfile.open(index / "some-models-1.0.tar.gz", "w:gz") as sdist:
        for name, content in {"PKG-INFO": metadata, **files}.items():
            info = tarfile.TarInfo(f"some-models-1.0/{name}")
            info.size = len(content)
            sdist.addfile(info, io.BytesIO(content))


def test_a_wheel_is_downloaded_once_for_all_that_is_in_it(
    offer: Offer, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_wheel(index, {"models/a.bin": b"first", "models/b.bin": b"second"})
    offer(
        entry("a", b"first", "pypi:some-models==1.0!models/a.bin")
        + entry("b", b"second", "pypi:some-models==1.0!models/b.bin")
    )
    calls, run = [], mirrors._run
    monkeypatch.setattr(mirrors, "_run", lambda command: (calls.append(command), run(command)))
    a, b = weights.fetch(["a", "b"])
    assert (a.read_bytes(), b.read_bytes()) == (b"first", b"second")
    assert len(calls) == 1


@pytest.mark.parametrize("modern", [False, True], ids=["setup.py", "pyproject.toml"])
def test_no_code_of_a_source_distribution_runs(
    offer: Offer, index: Path, tmp_path: Path, modern: bool
) -> None:
    marker = tmp_path / "ran"
    code = f"import os; os.mkdir({str(marker)!r})\nfrom setuptools import setup; setup()".encode()
    build = b'[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    files = {"setup.py": code, "models/a.bin": b"first"}
    put_sdist(index, {**files, "pyproject.toml": build} if modern else files)
    offer(entry("a", b"first", "pypi:some-models==1.0!some-models-1.0/models/a.bin"))
    assert weights.fetch(["a"])[0].read_bytes() == b"first"
    assert not marker.exists()


def test_what_pip_and_npm_say_is_passed_on(
    offer: Offer, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    offer(entry("a", b"", "pypi:some-models==1.0!a.bin", "npm:some-models@1.0!a.bin"))
    with pytest.raises(MissingArtefact) as caught:
        weights.fetch(["a"])
    text = str(caught.value)
    assert "No matching distribution found for some-models==1.0" in text
    assert "npm is not installed" in text and "Install Node.js" in text
    assert "pip download --no-deps some-models==1.0" in text


def test_a_package_downloaded_by_hand_will_do(offer: Offer, index: Path) -> None:
    put_wheel(index, {"models/a.bin": b"first"})
    offer(entry("a", b"first", "pypi:Some_Models==1.0!models/a.bin"))
    paths = weights.fetch(["a"], offline=True, source_dir=index)
    assert paths[0].read_bytes() == b"first"


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("npm:face-plugin@0.0.1!package/x", "face-plugin-0.0.1.tgz"),
        ("npm:@scope/pkg@1.2.3!package/x", "scope-pkg-1.2.3.tgz"),
        ("pypi:face-models-ng==0.1.0!x", "face_models_ng-0.1.0-py3-none-any.whl"),
    ],
)
def test_packages_are_known_by_the_names_that_their_clients_give(text: str, file: str) -> None:
    from anonbench.weights.fetching import _is_package

    assert _is_package(Path(file), Mirror.parse(text))
    assert not _is_package(Path(file.replace("0.1", "0.12").replace("1.2.3", "1.2.30")),
                           Mirror.parse(text))  # fmt: skip


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(UserError, match="ftp"):
        Mirror.parse("ftp://example.org/x")


@pytest.mark.parametrize("name", ["dlib-resnet", "fr-feature", "orl", "lpips-alex"])
def test_real_packages_give_what_the_catalogue_says(
    artefact: Callable[[str], Path], name: str
) -> None:
    path, entry_ = artefact(name), weights.catalogue()[name]
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    assert sum(file.stat().st_size for file in files) == entry_.bytes
    assert weights.verify([name])[0].found == entry_.sha256
