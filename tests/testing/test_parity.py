"""The parity runner tells a network that computes the same from one that does not."""

import json
import math
from pathlib import Path

import numpy as np
import parity_world as world
import pytest
import torch

from anonbench.errors import BadData
from anonbench.testing.fixtures import (
    ExpectedOutput,
    Fixture,
    Layout,
    fixture_names,
    read_layout,
)
from anonbench.testing.parity import Outcome, check_parity, compare_all


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.install_adapters(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")


def check(folder: Path, **changes) -> Outcome:
    world.write_fixture(folder, **changes)
    return check_parity(folder, "tiny")


@pytest.mark.parametrize("seed", [0, 7, -1, 2**40])
def test_a_network_that_computes_the_same_passes_with_any_seed(tmp_path: Path, seed: int) -> None:
    outcome = check(tmp_path, seed=seed)
    assert outcome.verdict == "passed", outcome
    assert [c.output for c in outcome.comparisons] == ["y", "odd", "sign"]


def off_by(amount: float):
    def change(outputs) -> None:
        outputs["odd"][2, 1] += amount * outputs["y"].std()

    return change


def test_the_tolerance_is_relative_to_the_scale(tmp_path: Path) -> None:
    assert check(tmp_path, change_outputs=off_by(5e-5)).verdict == "passed"
    outcome = check(tmp_path, change_outputs=off_by(2e-4))
    assert outcome.verdict == "failed"
    assert [c.output for c in outcome.comparisons if not c.passed] == ["odd"]
    assert outcome.worst is not None
    assert outcome.worst.output == "odd"
    assert outcome.worst.error == pytest.approx(2e-4, rel=0.02)


def test_an_exact_output_allows_no_difference(tmp_path: Path) -> None:
    def flip(outputs) -> None:
        outputs["sign"][0, 0] ^= 1

    outcome = check(tmp_path, change_outputs=flip)
    assert [c.output for c in outcome.comparisons if not c.passed] == ["sign"]


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        ([1.0, math.inf, -math.inf], True),
        ([1.0, math.inf, math.inf], False),
        ([1.0, math.inf, 3.0], False),
        ([1.0, math.nan, -math.inf], False),
    ],
)
@pytest.mark.parametrize("tolerance", ["exact", 1e-4])
def test_infinity_equals_only_itself(found, passed: bool, tolerance) -> None:
    info = {"out.x": {"tolerance": tolerance, "scale": 1.0}}
    layout = Layout.model_validate({"model": "m", "seed": 0, "networks": {}, "fixtures": info})
    fixture = Fixture(layout, {}, {"x": np.array([1.0, math.inf, -math.inf])})
    (comparison,) = compare_all(fixture, lambda states, inputs: {"x": torch.tensor(found)})
    assert comparison.passed == passed


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (lambda states, inputs: {"x": states["G"]["w"]}, "no network 'G'"),
        (lambda states, inputs: {"x": inputs["image"]}, "no input 'image'"),
    ],
)
def test_names_what_the_fixtures_lack(adapter, message: str) -> None:
    info = {"out.x": {"tolerance": "exact"}}
    layout = Layout.model_validate({"model": "m", "seed": 0, "networks": {}, "fixtures": info})
    with pytest.raises(BadData, match=message):
        compare_all(Fixture(layout, {}, {"x": np.zeros(1)}), adapter)


def test_another_seed_in_the_layout_is_another_network(tmp_path: Path) -> None:
    outcome = check(tmp_path, change_layout=lambda layout: layout.update(seed=world.SEED + 1))
    assert outcome.verdict == "failed"
    assert outcome.comparisons
    assert outcome.worst is not None
    assert outcome.worst.severity > 100


def test_the_digest_of_the_layout_is_checked(tmp_path: Path) -> None:
    def wrong(layout) -> None:
        layout["networks"]["tiny"]["sha256"] = "0" * 64

    outcome = check(tmp_path, change_layout=wrong)
    assert outcome.verdict == "failed"
    assert "digest" in outcome.problem


def test_keys_and_shapes_that_differ_are_listed(tmp_path: Path) -> None:
    def other(layout) -> None:
        layout["networks"]["tiny"]["state"] = [
            ["fc.weight", [4, 5], "float32"],
            ["fc.shift", [4], "float32"],
        ]

    outcome = check(tmp_path, change_layout=other)
    assert outcome.verdict == "failed"
    for part in ("1 missing: fc.bias.", "1 unexpected: fc.shift.", "fc.weight [4, 5] instead of"):
        assert part in outcome.problem


def test_outputs_that_do_not_come_are_misses(tmp_path: Path) -> None:
    def more(container, value) -> None:
        container["out.z" if "out.y" in container else "z"] = value

    outcome = check(
        tmp_path,
        change_layout=lambda layout: more(layout["fixtures"], {"tolerance": "exact"}),
        change_outputs=lambda outputs: more(outputs, np.zeros(1)),
    )
    assert outcome.verdict == "failed"
    assert outcome.comparisons[-1].detail == "the adapter does not compute it"


def test_another_shape_is_a_miss_even_where_it_would_broadcast(tmp_path: Path) -> None:
    def squeeze(outputs) -> None:
        outputs["sign"] = outputs["sign"][:1]

    outcome = check(tmp_path, change_outputs=squeeze)
    assert outcome.comparisons[-1].detail == "stored shape [8, 4] instead of [1, 4]"
    assert not outcome.comparisons[-1].passed


def renamed(model: str):
    return lambda layout: layout.update(model=model)


def test_adapters_that_cannot_run_fail_their_model(tmp_path: Path) -> None:
    raising = check(tmp_path, change_layout=renamed("broken"))
    assert (raising.verdict, "RuntimeError: no luck" in raising.problem) == ("failed", True)
    missing = check(tmp_path, change_layout=renamed("gone"))
    assert (missing.verdict, "tiny_plugin_gone" in missing.problem) == ("failed", True)
    assert check(tmp_path, change_layout=renamed("nobody-has-this")).verdict == "not implemented"


def test_two_plugins_under_one_name_are_refused(tmp_path: Path, monkeypatch) -> None:
    info = tmp_path / "more" / "rival-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[anonbench.parity]\ntiny = rival:run\n")
    monkeypatch.syspath_prepend(tmp_path / "more")
    assert "registered more than once" in check(tmp_path).problem


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    outcome = check(tmp_path, change_outputs=lambda outputs: outputs.pop("sign"))
    assert "describe different outputs: sign" in outcome.problem
    (tmp_path / "tiny.npz").write_bytes(b"PK\x03\x04 cut short")
    assert "tiny.npz cannot be read" in check_parity(tmp_path, "tiny").problem
    (tmp_path / "tiny.npz").unlink()
    assert fixture_names(tmp_path) == ["tiny"]
    assert "tiny.npz cannot be read" in check_parity(tmp_path, "tiny").problem
    (tmp_path / "tiny.json").write_text('{"model": "tiny"}')
    assert "no parity layout: seed" in check_parity(tmp_path, "tiny").problem


def test_pickled_arrays_are_not_loaded(tmp_path: Path) -> None:
    world.write_fixture(tmp_path)
    np.savez(tmp_path / "tiny.npz", **{"out.y": np.array([{"any": "object"}])})
    assert "allow_pickle" in check_parity(tmp_path, "tiny").problem


def test_a_tolerance_without_a_scale_is_no_layout(tmp_path: Path) -> None:
    world.write_fixture(tmp_path)
    content = json.loads((tmp_path / "tiny.json").read_text())
    del content["fixtures"]["out.y"]["scale"]
    (tmp_path / "tiny.json").write_text(json.dumps(content))
    with pytest.raises(BadData, match=r"fixtures\.y: .*scale"):
        read_layout(tmp_path, "tiny")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("out[:,1::4,2::4]", np.s_[:, 1::4, 2::4]),
        ("out[:,:3]", np.s_[:, :3]),
        ("out[-1]", np.s_[-1]),
        ("out[0, ::2]", np.s_[0, ::2]),
        ("all", np.s_[...]),
    ],
)
def test_excerpts(stored: str, expected) -> None:
    whole = np.arange(2 * 9 * 10).reshape(2, 9, 10)
    found = ExpectedOutput(tolerance="exact", stored=stored).excerpt(whole)
    np.testing.assert_array_equal(found, whole[expected])


@pytest.mark.parametrize("stored", ["out[__import__('os')]", "first", "out[]", "out[1:2:3:4]"])
def test_excerpts_are_no_code(stored: str) -> None:
    with pytest.raises(ValueError):
        ExpectedOutput(tolerance="exact", stored=stored)
