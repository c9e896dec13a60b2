"""A way to run the engine on toy plug-ins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def toy_run(
    people: Path, tmp_path: Path, anonbench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Any]]:
    """Runs lfw-tar on the toy people with toy judges; counts what plug-ins really did."""
    from rich.console import Console

    from anonbench.engine.job import RunConfig
    from anonbench.engine.plan import plan
    from anonbench.engine.progress import Progress
    from anonbench.engine.run import run

    def go(**options: Any) -> list[Any]:
        config = RunConfig.model_validate(
            {
                "methods": ("toy-same",),
                "protocols": ("lfw-tar:far=0.05:bootstrap=100",),
                "dataset": "folder:folds=4:pairs=40",
                "judges": ("toy-recogniser",),
                "detector": "toy-detector",
                "data_root": people,
                "output": tmp_path / "runs",
                "workers": 1,
                "device": "cpu",
                **options,
            }
        )
        return run(plan(config), config, Progress(Console(stderr=True)))

    monkeypatch.setenv("TOYBENCH_COUNTER", str(tmp_path / "count.txt"))
    return go


@pytest.fixture
def count(tmp_path: Path) -> Callable[[], dict[str, int]]:
    """How many images were detected, anonymized, embedded since the last call."""

    def read() -> dict[str, int]:
        path = tmp_path / "count.txt"
        lines = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return {what: lines.count(what) for what in sorted(set(lines))}

    return read
