"""Fixtures shared by all tests."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared"
PEOPLE, IMAGES = 12, 4


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with fixtures and data that stands beside the developers' checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the developers' folder {SHARED}, which is not here")
    return SHARED


class Done(NamedTuple):
    """How a command ended: its exit status, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


@pytest.fixture
def anonbench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs a command in this process, through its own error handling."""
    from anonbench.cli import main

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["anonbench", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Done(status, printed.out, printed.err)

    return call


@pytest.fixture
def anonbench_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for one test."""
    home = tmp_path / "home"
    monkeypatch.setenv("ANONBENCH_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def artefact() -> Callable[[str], Path]:
    """Brings a catalogue artefact into the user's cache, or skips where there is no network.

    Small ones that no package registry has are in the developers' folder.
    """
    from anonbench import weights
    from anonbench.errors import UserError

    def get(name: str) -> Path:
        given = (SHARED / "weights").rglob(weights.catalogue()[name].file)
        try:
            weights.fetch([name], source_dir=next((file.parent for file in given), None))
            return weights.path(name)
        except UserError as error:
            pytest.skip(f"artefact '{name}' is not to be had here: {error}")

    return get


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Twelve people with four images each; a person is a coarse pattern, an image adds noise."""
    root = tmp_path / "people"
    random = np.random.default_rng(0)
    for person in range(PEOPLE):
        pattern = random.integers(40, 216, (4, 4, 3))
        folder = root / f"p{person:02d}"
        folder.mkdir(parents=True)
        for number in range(IMAGES):
            image = np.kron(pattern, np.ones((24, 24, 1))) + random.normal(0, 12, (96, 96, 3))
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def hog(artefact: Callable[[str], Path]) -> Any:
    """dlib's detector, built from its card."""
    from anonbench import registry
    from anonbench.engine import models

    card = registry.judges.card("dlib-hog")
    for name in card.weights:
        artefact(name)
    return models.detector(card)
