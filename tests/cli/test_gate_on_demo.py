"""The repository's own gate: the method as it is passes, a weakened one does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GATE = ("--baseline", ROOT / "results" / "gate", "--allow-missing")
TOLERANCE = ("--tolerance", ROOT / "results" / "gate" / "tolerance.toml")
WEIGHTS = ("dlib-shape-predictor-5", "dlib-shape-predictor-68", "dlib-resnet", "orl")


@pytest.fixture
def run(
    artefact: Callable[[str], Path],
    anonbench: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Path]:
    """Measures a method as `make gate` does, by one judge and with an empty store."""
    for name in WEIGHTS:
        weights = artefact(name)
    home = tmp_path / "home"
    home.mkdir()
    (home / "weights").symlink_to(next(p for p in weights.parents if p.name == "weights"))
    monkeypatch.setenv("ANONBENCH_HOME", str(home))

    def measured(method: str) -> Path:
        out = tmp_path / method.replace(":", "-")
        how = ("--protocol", "celebahq-similarity:seeds=2", "--suite", "demo", "--limit", 20)
        where = ("--judge", "dlib-resnet", "--workers", 1, "--offline", "--output", out)
        assert anonbench("run", "--method", method, *how, *where).code == 0
        return out

    return measured


def test_the_method_as_it_is_passes_and_a_weakened_one_does_not(
    run: Callable[[str], Path], anonbench: Callable[..., Any]
) -> None:
    passed = anonbench("check", *GATE, *TOLERANCE, "--results", run("pixelate"))
    assert (passed.code, "gate: passed" in passed.out) == (0, True)
    weak = anonbench("check", *GATE, *TOLERANCE, "--results", run("pixelate:block=4"))
    assert (weak.code, "gate: regression" in weak.out) == (1, True)
    assert "method setting block: 16 → 4" in weak.out
