"""Checkpoints: everything a run needs to go on exactly, one file each, the last few kept.

A file is what `torch.save` makes of a dict with

* `step`: completed iterations,
* `modules`: state dicts by name, without wrappers of data parallelism,
* `optimizers`: likewise,
* `ema`: averaged state dicts by name, or None,
* `log`: what the log has gathered since its last line,
* `config`: the plain configuration,
* `crops`: `sampling.fingerprint` of the training data.

It holds tensors and plain Python values only, so it loads with `weights_only=True`.
"""

from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import TypedDict

import torch

from anonbench.errors import BadData
from anonbench.files import atomic_write
from anonbench.training.ema import States
from anonbench.training.log import Gathered


class State(TypedDict):
    """Content of a checkpoint."""

    step: int
    modules: States
    optimizers: dict[str, dict[str, object]]
    ema: States | None
    log: Gathered
    config: dict[str, object]
    crops: str


class Checkpoints:
    """The checkpoints of a run.

    Args:
        folder: Where they are: `step-00001000.pt` and so on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, step: int) -> Path:
        """The file of a step."""
        return self._folder / f"step-{step:08d}.pt"

    def latest(self) -> Path | None:
        """The file of the highest step."""
        return max(self._files(), default=None)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("step-*.pt"))

    def read(self, path: Path) -> State:
        """Load a checkpoint into main memory.

        Raises:
            BadData: It is damaged, or no checkpoint.
        """
        try:
            state: State = torch.load(path, map_location="cpu", weights_only=True)
            missing = State.__required_keys__ - state.keys()
        except (UnpicklingError, RuntimeError, EOFError, OSError, AttributeError) as error:
            raise BadData(
                f"{path} cannot be read as a checkpoint: {str(error).splitlines()[0]}",
                mend="Delete it to continue from the one before.",
            ) from error
        if missing:
            raise BadData(f"The checkpoint {path} lacks {', '.join(sorted(missing))}.")
        return state

    def write(self, state: State, keep: int) -> Path:
        """Store a checkpoint, whole or not at all; afterwards delete all but the last `keep`.

        Raises:
            StoreError: The disk is full, read-only or gone; the last checkpoint is untouched.
        """
        path = self.path(state["step"])
        atomic_write(path, lambda temporary: _save(state, temporary))
        for old in self._files()[:-keep]:
            old.unlink()
        return path


def _save(state: State, path: Path) -> None:
    buffer = BytesIO()  # torch's own way to a file does not say that a disk is full
    torch.save(state, buffer)
    path.write_bytes(buffer.getbuffer())
