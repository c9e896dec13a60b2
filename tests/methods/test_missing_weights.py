"""Weights that only their authors offer: without them one clear error, and no number.

Over every registered method, so that a new one joins by itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonbench import registry, weights
from anonbench.errors import MissingArtefact
from anonbench.weights import Artefact


def by_hand(spec: str) -> list[Artefact]:
    """Those of a method's weights that cannot be fetched."""
    entries = [weights.catalogue()[name] for name in registry.methods.parse(spec).weights]
    return [entry for entry in entries if entry.page]


def specs() -> list[str]:
    """Every method with each of its checkpoints, where it needs such weights."""
    known = []
    for name in registry.methods.names():
        checkpoints = registry.methods.card(name).checkpoints
        known += [f"{name}:checkpoint={one}" for one in checkpoints] or [name]
    return [spec for spec in known if by_hand(spec)]


def test_the_compared_methods_are_among_them() -> None:
    compared = {"ciagan", "fit", "riddle", "riddle-reinvert", "g2face"}
    assert compared <= {spec.split(":")[0] for spec in specs()}


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--protocol", "lfw-tar", "--method"],
        ["run", "--protocol", "all", "--suite", "paper", "--method"],
        ["test-method"],
    ],
    ids=["run", "run all", "test-method"],
)
@pytest.mark.parametrize("spec", specs())
def test_a_command_names_each_file_its_source_and_the_import(
    command: list[str],
    spec: str,
    anonbench_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    anonbench: Callable[..., Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    done = anonbench(*command, spec)
    said = done.said
    assert done.code == 2, said
    assert said.count("error:") == 1
    assert "Traceback" not in said
    for entry in by_hand(spec):
        assert entry.page in said
        assert f"anonbench weights import {entry.name} {entry.parts[0].file}" in said
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("spec", specs())
def test_the_method_is_not_built(spec: str, anonbench_home: Path) -> None:
    card = registry.methods.parse(spec)
    with pytest.raises(MissingArtefact) as error:
        registry.methods.load(card.name)(card, "cpu")
    for entry in by_hand(spec):
        assert entry.page in str(error.value)
