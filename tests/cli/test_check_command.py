"""`anonbench compare` and `anonbench check` as a user calls them: exit statuses and tables."""

import json
from pathlib import Path

import pytest
from compare_world import BASELINES, cosines, keep, relabel
from result_factory import make_method

from anonbench.results import store
from anonbench.results.record import PluginRef


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path, Path]:
    """A baseline, results that are as good up to noise, and worse ones."""
    judges = ("dlib-resnet", "fr-feature")
    keep(tmp_path / "base", cosines(), judges=judges)
    keep(tmp_path / "noise", cosines(noise=0.03, seed=1), judges=judges)
    keep(tmp_path / "worse", cosines(shift=0.05, noise=0.03), judges=judges)
    return tmp_path / "base", tmp_path / "noise", tmp_path / "worse"


def test_the_baselines_pass_against_themselves(anonbench):
    place = BASELINES / "celebahq-similarity"
    status, out, _ = anonbench("check", "--baseline", place, "--results", place)
    assert status == 0
    assert "0 worse, 0 not comparable" in out
    assert out.endswith("gate: passed\n")


def test_a_smaller_block_fails(anonbench, tmp_path):
    heavy = next((BASELINES / "lfw-tar").glob("pixelate-heavy*.json"))
    light = next((BASELINES / "lfw-tar").glob("pixelate-light*.json"))
    relabel(tmp_path / "base", heavy)
    relabel(tmp_path / "runs", light, method=store.load(heavy).method)
    given = ("--baseline", tmp_path / "base", "--results", tmp_path / "runs", "--bootstrap", 100)
    status, out, err = anonbench("check", *given)
    assert status == 1
    assert "tar ↓, dlib-resnet" in out
    assert "gate: regression" in out
    assert "Resampling pixelate-heavy" in err


def test_noise_passes_and_worse_fails(anonbench, folders):
    base, noise, worse = folders
    assert anonbench("check", "--baseline", base, "--results", noise)[0] == 0
    assert anonbench("check", "--baseline", base, "--results", worse)[0] == 1
    assert anonbench("check", "--baseline", worse, "--results", base)[0] == 0
    assert anonbench("compare", base, worse)[0] == 1
    assert anonbench("compare", worse, base)[0] == 0


def test_another_protocol_version_is_3_with_the_reason(anonbench, folders, tmp_path):
    base = folders[0]
    (path,) = base.rglob("*.json")
    protocol = store.load(path).protocol.model_copy(update={"version": 9})
    relabel(tmp_path / "other", path, protocol=protocol)
    for command in (
        ("check", "--baseline", base, "--results", tmp_path / "other"),
        ("compare", base, tmp_path / "other"),
    ):
        status, out, _ = anonbench(*command)
        assert status == 3
        assert "protocol version: 1 → 9" in out


def test_missing_cells_are_3_unless_allowed(anonbench, folders, tmp_path):
    base, noise, _ = folders
    keep(base, cosines(), method="pixelate")
    given = ("check", "--baseline", base, "--results", noise)
    status, out, _ = anonbench(*given)
    assert status == 3
    assert "missing in the results" in out
    assert anonbench(*given, "--allow-missing")[0] == 0
    keep(tmp_path / "else", cosines(), method="pixelate", protocol=PluginRef(name="x", version=1))
    alone = ("check", "--baseline", noise, "--results", tmp_path / "else", "--allow-missing")
    assert anonbench(*alone)[0] == 3  # nothing at all was compared


def test_a_worse_cell_weighs_more_than_a_missing_one(anonbench, folders):
    base, _, worse = folders
    keep(base, cosines(), method="pixelate")
    assert anonbench("check", "--baseline", base, "--results", worse)[0] == 1


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('[[tolerance]]\nmetric = "cosine"\nabsolute = 0.06', 0),
        ('[[tolerance]]\nmetric = "cosine"\nabsolute = 0.04', 1),
        ('[[tolerance]]\nmetric = "cosine"\nrelative = 0.2', 0),
        ('[[tolerance]]\nmetric = "cosine"\nrelative = 0.02', 1),
        ('[[tolerance]]\nmetric = "cosine"\njudge = "fr-feature"\nabsolute = 1', 1),
        (
            '[[tolerance]]\nmetric = "cosine"\njudge = "fr-feature"\nabsolute = 0\n'
            '[[tolerance]]\nmetric = "cosine"\nabsolute = 1',
            1,
        ),
    ],
)
def test_a_tolerance_decides_where_it_fits_the_most_precise_first(
    anonbench, folders, tmp_path, text, status
):
    (tmp_path / "gate.toml").write_text(text)
    given = ("check", "--baseline", folders[0], "--results", folders[2])
    assert anonbench(*given, "--tolerance", tmp_path / "gate.toml")[0] == status


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[tolerance]]\nmetric = "cosin"\nabsolute = 1', "'cosin ± 1' fits no cell"),
        ('[[tolerance]]\nmetric = "cosine"', "needs either absolute or relative"),
        ('[[tolerance]]\nmetric = "cosine"\nabsolute = -1', "absolute"),
        ('[[tolerances]]\nmetric = "cosine"', "'tolerances'"),
        ("[[tolerance", "cannot be read"),
    ],
)
def test_a_tolerance_file_that_says_nothing_is_an_error(
    anonbench, folders, tmp_path, text, message
):
    (tmp_path / "gate.toml").write_text(text)
    given = ("check", "--baseline", folders[0], "--results", folders[1])
    status, _, err = anonbench(*given, "--tolerance", tmp_path / "gate.toml")
    assert status == 2
    assert message in err


def test_numbers_of_weights_drawn_for_a_test_are_refused(anonbench, folders, tmp_path):
    method = make_method("blur", weights={"net": "test fill 0"})
    keep(tmp_path / "filled", cosines(shift=-0.3), method=method)
    status, _, err = anonbench("check", "--baseline", folders[0], "--results", tmp_path / "filled")
    assert status == 2
    assert "drawn for a test" in err


def test_json_has_every_cell_and_the_correction(anonbench, folders):
    status, out, _ = anonbench("check", "--baseline", folders[0], "--results", folders[2], "--json")
    told = json.loads(out)
    assert (status, told["exit_code"], told["outcome"]) == (1, 1, "regression")
    assert told["correction"] == {"method": "Holm", "alpha": 0.05, "cells": 2}
    assert [(c["verdict"], c["by"]) for c in told["cells"]] == [("worse", "paired bootstrap")] * 2


def test_markdown_shows_what_moved_and_all_shows_the_rest(anonbench, folders):
    base, noise, worse = folders
    _, out, _ = anonbench("compare", base, worse, "--markdown")
    assert out.count("| worse |") == 2
    assert "Holm" in out
    assert "| same |" not in anonbench("compare", base, noise, "--markdown")[1]
    assert anonbench("compare", base, noise, "--markdown", "--all")[1].count("| same |") == 2
