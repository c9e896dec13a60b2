"""Fixtures shared by all tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with fixtures and data that stands beside the developers' checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the developers' folder {SHARED}, which is not here")
    return SHARED


@pytest.fixture
def anonbench_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for one test."""
    home = tmp_path / "home"
    monkeypatch.setenv("ANONBENCH_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def artefact() -> Callable[[str], Path]:
    """Fetches a catalogue artefact into the user's cache, or skips where there is no network."""
    from anonbench import weights
    from anonbench.errors import UserError

    def get(name: str) -> Path:
        try:
            weights.fetch([name])
            return weights.path(name)
        except UserError as error:
            pytest.skip(f"artefact '{name}' is not to be had here: {error}")

    return get
