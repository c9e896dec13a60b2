"""DECA's coarse encoder against the fixtures of the original code."""

from pathlib import Path

import torch

from anonbench.nets.deca import DIM, Deca, split
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import check_parity


def test_computes_what_deca_computes(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "deca_e_flame")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_e_flame_in_their_order(shared: Path) -> None:
    with torch.device("meta"):
        found = Deca().state_dict()
    expected = read_layout(shared / "parity", "deca_e_flame").networks["E_flame"].state
    assert [(key, tuple(value.shape)) for key, value in found.items()] == [
        (key, shape) for key, shape, _ in expected
    ]


def test_split_names_the_236_numbers() -> None:
    face = split(torch.arange(float(DIM)).repeat(2, 1))
    assert [int(part[0, 0]) for part in face] == [0, 100, 150, 200, 206, 209]
    assert [part.shape for part in face] == [(2, n) for n in (100, 50, 50, 6, 3, 27)]
    assert face.expression[1, -1] == 199
