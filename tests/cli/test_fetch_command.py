import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anonbench import weights
from anonbench.cli.app import app
from anonbench.errors import BadConfig, Offline, UnknownName, WrongHash
from anonbench.weights.needed import needed, protocols_of

PAIRS = "data/lfw/pairs.txt"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_a_file_is_imported_listed_verified_and_its_damage_named(
    anonbench_home: Path, shared: Path
) -> None:
    code, text = run("weights", "import", "lfw-pairs", str(shared / PAIRS))
    path = weights.path("lfw-pairs")
    assert code == 0 and str(path) in text

    rows = {row["name"]: row for row in json.loads(run("weights", "list", "--json")[1])}
    assert rows["lfw-pairs"]["path"] == str(path)
    assert rows["orl"]["path"] is None and rows["orl"]["research_only"] is True

    assert run("weights", "verify")[0] == 0
    path.write_bytes(b"damaged")
    code, text = run("weights", "verify")
    assert code == 1
    assert "lfw-pairs: damaged" in text and weights.digest("lfw-pairs") in text
    assert "orl" not in text
    code, text = run("weights", "verify", "lfw-pairs", "orl", "--json")
    assert code == 1
    assert [check["status"] for check in json.loads(text)] == ["damaged", "absent"]


def test_files_from_a_folder_are_used_offline(anonbench_home: Path, shared: Path) -> None:
    names = ("fsanet-1x1", "fsanet-var")
    source = ("--from", str(shared / "weights" / "fsanet"), "--offline", "--json")
    code, text = run("fetch", *names, *source)
    assert code == 0
    assert json.loads(text) == {name: str(weights.path(name)) for name in names}


def test_a_wrong_file_is_refused(anonbench_home: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("10 300\n")
    with pytest.raises(WrongHash, match="expected sha256 ea42330c"):
        run("fetch", "lfw-pairs", "--from", str(tmp_path))


def test_offline_without_the_files_says_what_to_run(anonbench_home: Path) -> None:
    with pytest.raises(Offline, match=r"anonbench fetch orl\b"):
        run("fetch", "orl", "--offline")


def test_nothing_named_is_an_error_with_an_example(anonbench_home: Path) -> None:
    with pytest.raises(BadConfig, match="anonbench fetch --suite demo"):
        run("fetch")
    with pytest.raises(UnknownName, match="Did you mean pixelate"):
        run("fetch", "--method", "pixelat")


def test_a_method_without_weights_needs_nothing(anonbench_home: Path) -> None:
    code, text = run("fetch", "--method", "identity,pixelate:block=8", "--offline")
    assert code == 0 and "Nothing to fetch" in text


def test_a_protocol_needs_its_judges_detector_and_dataset() -> None:
    found = needed(protocols=["lfw-tar"], suite="demo")
    assert {"dlib-resnet", "dlib-shape-predictor-5", "orl"} <= set(found)
    assert len(found) == len(set(found))
    other = needed(protocols=["lfw-tar"], suite="demo", dataset="lfw")
    assert "orl" not in other and any(name.startswith("lfw") for name in other)


def test_a_suite_is_that_of_every_protocol_that_has_it() -> None:
    assert {"lfw-tar", "lfw-tar-allpairs"} <= set(protocols_of("demo"))
    with pytest.raises(BadConfig, match="demo"):
        protocols_of("dmeo")
    with pytest.raises(BadConfig, match=r"lfw-tar.*'dmeo'"):
        needed(protocols=["lfw-tar"], suite="dmeo")


def test_every_artefact_that_a_card_names_is_in_the_catalogue() -> None:
    from anonbench import registry

    for kind in (registry.methods, registry.judges):
        for name in kind.names():
            assert set(kind.card(name).weights) <= set(weights.catalogue()), name
    for name in registry.datasets.names():
        assert registry.datasets.card(name).artefact in {"", *weights.catalogue()}, name
