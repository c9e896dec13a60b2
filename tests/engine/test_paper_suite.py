"""The paper suite from end to end, with weights drawn by rule in place of the authors'."""

import json
import shutil
from pathlib import Path

import pytest
from paper_world import JUDGES, install
from PIL import Image
from typer.testing import CliRunner

from anonbench import weights
from anonbench.cli.app import app
from anonbench.errors import UserError
from anonbench.weights.filled import is_filled

IMAGES = 3
PROTOCOLS = ",".join(
    (
        "celebahq-similarity:bootstrap=100",
        "utility:small_sample=true:kernel_images=3:bootstrap=100",
        "recovery:bootstrap=100",
    )
)
REAL = ("dlib-shape-predictor-5", "dlib-shape-predictor-68", "lpips-alex", "lpips-vgg")


def anonbench(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    if isinstance(done.exception, UserError):  # `main` would print it
        return done.exception.exit_code, str(done.exception)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def real(artefact) -> dict[str, Path]:
    """Files that are to be had, found before the cache of this module takes over."""
    return {name: artefact(name) for name in REAL}


@pytest.fixture(scope="module")
def home(real, shared: Path, tmp_path_factory: pytest.TempPathFactory):
    """A cache in which every judge of the suite is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANONBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        for name, file in real.items():
            weights.import_file(name, file)
        for name in ("fsanet-1x1", "fsanet-var"):
            file = weights.catalogue()[name].parts[0].file
            weights.import_file(name, shared / "weights" / "fsanet" / file)
        scratch = tmp_path_factory.mktemp("downloads")
        assert all(is_filled(file) for file in install(shared / "parity", JUDGES, scratch))
        yield


@pytest.fixture(scope="module")
def data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CelebA-HQ of a few real faces; the rest of the split only has to be there."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "celeba-hq"
    folder.mkdir()
    faces = sorted((shared / "data" / "lfw" / "lfw-deepfunneled").glob("A*/*_0001.jpg"))
    for index, file in enumerate(faces[:IMAGES]):
        Image.open(file).resize((256, 256)).save(folder / f"{index:05d}.png")
    blank = folder / f"{IMAGES:05d}.png"
    Image.new("RGB", (8, 8)).save(blank)
    for index in range(IMAGES + 1, 808):
        shutil.copy(blank, folder / f"{index:05d}.png")
    return root


def test_every_judge_measures_and_every_number_is_stamped(home, data: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    code, output = anonbench(
        *("run", "--suite", "paper", "--method", "identity", "--protocol", PROTOCOLS, "--offline"),
        *("--dataset", "celeba-hq:split=first808", "--data-root", str(data)),
        *("--limit", str(IMAGES), "--workers", "1", "--output", str(runs), "--json"),
    )
    assert code == 0, output
    similarity, utility, recovery = (outcome["result"] for outcome in json.loads(output))
    values = {(m["name"], m["judge"]): m["value"] for m in similarity["metrics"]}
    assert values["cosine", "facenet-vggface2"] == pytest.approx(1, abs=1e-6)
    assert {judge for _, judge in values} >= {"arcface-r100-ms1mv3", "adaface-ir101-webface12m"}
    values = {(m["name"], m["judge"]): m["value"] for m in utility["metrics"]}
    for name, judge in (
        ("landmark-distance", "mtcnn"),
        ("box-distance", "dlib-hog"),
        ("shape-l2", "d3dfr"),
        ("expression-l2", "deca"),
        ("pose-l2", "hopenet"),
        ("pose-mae", "fsanet"),
    ):
        assert values[name, judge] == 0
    assert values["fid", "inception-fid"] == pytest.approx(0, abs=1e-6)
    assert values["detection-rate", "mtcnn"] == 1
    for result in (similarity, utility, recovery):
        stamped = [warning for warning in result["warnings"] if "weights: test fill" in warning]
        assert len(stamped) == 1
    values = {(m["name"], m["judge"]): m["value"] for m in recovery["metrics"]}
    assert values["lpips", "lpips-vgg"] == 0
    assert values["cosine-recovered", "arcface-r100-ms1mv3"] == pytest.approx(1, abs=1e-6)
    code, table = anonbench("table", str(runs), "--protocol", "celebahq-similarity")
    assert code == 0, table
    assert "test fill; no measurement" in table
    assert "1.000" not in table


def test_a_judge_whose_weights_changed_is_not_used(home, data: Path, tmp_path: Path) -> None:
    """Nothing else is lost: with the file as it was, the run goes on."""
    command = ["run", "--suite", "paper", "--method", "identity", "--judge", "hopenet"]
    command += ["--protocol", "utility:bootstrap=100", "--dataset", "celeba-hq:split=first808"]
    command += ["--data-root", str(data), "--limit", str(IMAGES), "--workers", "1"]
    command += ["--output", str(tmp_path / "runs"), "--offline"]
    file = weights.path("hopenet")
    kept = file.read_bytes()
    file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    code, output = anonbench(*command)
    assert code == 2
    assert "hopenet_robust_alpha1.pkl (the copy in" in output
    assert "is damaged" in output
    file.write_bytes(kept)
    code, output = anonbench(*command)
    assert code == 0, output


def test_what_the_suite_lacks_is_named_at_once_with_its_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANONBENCH_HOME", str(tmp_path))
    code, output = anonbench(
        *("run", "--suite", "paper", "--method", "g2face", "--protocol", "all", "--offline")
    )
    assert code == 2
    words = " ".join(output.split())
    for name in ("g2face", "arcface-r50-ms1mv3", "arcface-r100-ms1mv3", "deca", "hopenet"):
        assert f"anonbench weights import {name}" in words
    for name in ("facenet-vggface2", "inception-fid", "fsanet-1x1"):
        assert name in words
    for dataset in ("celeba-hq", "casia-webface"):
        assert f"The dataset '{dataset}' is not to be found" in words
