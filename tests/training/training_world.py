"""A toy training on seven synthetic crops: configurations, crops, and what a run left behind."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import toybench

from anonbench.data.align import template
from anonbench.training.crops import IMAGES, INDEX, POINTS, Source

SIZE, COUNT = 16, 7
METHOD = "toy-tint"
DEMO = Path(toybench.__file__).parent / "demo.toml"


def store_crops(folder: Path, data_root: Path, ids: str = "abcdefg") -> Path:
    """Crops, stored as if they had been found below `data_root`."""
    folder.mkdir()
    random = np.random.default_rng(0)
    random.integers(0, 256, (COUNT, SIZE, SIZE, 3)).astype(np.uint8).tofile(folder / IMAGES)
    random.uniform(0, SIZE - 1, (COUNT, 68, 2)).astype(np.float32).tofile(folder / POINTS)
    name = f"ffhq-{SIZE}"
    of = {
        "sources": [Source(dataset="folder").model_dump()],
        "data_root": str(data_root.resolve()),
        "template": [name, template(name).version],
    }
    index = {"of": of, "ids": list(ids), "repeat": [1] * COUNT, "failed": {}}
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def changed_config(path: Path, *more: str, **changed: Any) -> Path:
    """The toy's `demo.toml` with some values replaced, and lines added at its end."""
    lines = DEMO.read_text().splitlines()
    for key, value in changed.items():
        (at,) = (i for i, line in enumerate(lines) if line.startswith(f"{key} = "))
        lines[at] = f"{key} = {json.dumps(value)}"
    path.write_text("\n".join([*lines, *more]))
    return path


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def trace_of(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """Steps and losses of a run's log."""
    return [(line["step"], line["losses"]) for line in log_of(folder)]


def checkpoint_names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def checkpoint_of(folder: Path, step: int) -> dict[str, Any]:
    """A checkpoint, read without this suite's code."""
    path = folder / "checkpoints" / f"step-{step:08d}.pt"
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return state
