import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest

from anonbench import weights
from anonbench.errors import UserError
from anonbench.weights import cache
from anonbench.weights.artefacts import Part, read_catalogue

ENTRIES = list(weights.catalogue().values())
PARTS = [(entry.name, part) for entry in ENTRIES for part in entry.parts]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_entry_says_what_a_user_must_know(entry: weights.Artefact) -> None:
    assert entry.what and entry.licence and entry.citation
    assert (entry.kind == "file") == (len(entry.parts) == 1 and entry.parts[0].unpack is None)
    assert not entry.sha256 or re.fullmatch("[0-9a-f]{64}", entry.sha256)
    assert re.fullmatch("[a-z0-9-]+", entry.name)


@pytest.mark.parametrize(("name", "part"), PARTS, ids=[f"{n}/{p.file}" for n, p in PARTS])
def test_every_part_can_be_had_and_checked(name: str, part: Part) -> None:
    entry = weights.catalogue()[name]
    assert "/" not in part.file
    if entry.page:  # by hand, where nobody publishes a hash: its network's keys and shapes
        assert not part.mirrors
        assert entry.page.startswith("https://")
        assert callable(resolve_name(entry.importer))
        return
    assert part.mirrors
    assert {mirror.scheme for mirror in part.mirrors} <= {"https", "pypi", "npm"}
    if not (part.sha256 or entry.sha256):  # nobody publishes one: its network's keys and shapes
        assert callable(resolve_name(entry.importer))
        return
    assert re.fullmatch("[0-9a-f]{64}", part.sha256 or entry.sha256)


def test_lfw_is_pinned_to_what_scikit_learn_publishes() -> None:
    lfw = pytest.importorskip("sklearn.datasets._lfw")
    published = {remote.filename: remote for remote in lfw.TARGETS}
    for name, archive in (("lfw", lfw.ARCHIVE), ("lfw-funneled", lfw.FUNNELED_ARCHIVE)):
        images, pairs = weights.catalogue()[name].parts
        for part, remote in ((images, archive), (pairs, published["pairs.txt"])):
            assert (part.file, part.sha256) == (remote.filename, remote.checksum)
            assert part.mirrors[0].location == remote.url


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("fsanet-1x1", "weights/fsanet/fsanet-1x1-iter-688590.onnx"),
        ("fsanet-var", "weights/fsanet/fsanet-var-iter-688590.onnx"),
        ("mediapipe-face-landmarker", "weights/mediapipe/face_landmarker.task"),
        ("lfw-pairs", "data/lfw/pairs.txt"),
    ],
)
def test_the_developers_copies_can_be_imported(
    shared: Path, anonbench_home: Path, name: str, file: str
) -> None:
    path = weights.import_file(name, shared / file)
    assert path.stat().st_size == weights.catalogue()[name].bytes


def test_the_developers_lfw_is_the_deep_funneled_one(shared: Path) -> None:
    folder = shared / "data" / "lfw"
    assert cache.tree_digest(folder) == weights.digest("lfw-deepfunneled")


def test_a_catalogue_with_a_mistake_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text('[net]\nkind = "file"\nfile = "x"\nmirrors = []\nlisence = "MIT"\n')
    with pytest.raises(UserError, match=r"'net' of .*lisence"):
        read_catalogue(file)


def test_importing_weights_is_light() -> None:
    heavy = {"requests", "urllib3", "torch", "numpy", "pydantic", "rich", "filelock"}
    code = "import sys, anonbench.weights as w; w.catalogue(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())
