"""The log of a training: one JSON object per line, each the mean over some steps."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import TypedDict

from anonbench.errors import StoreError
from anonbench.files import atomic_write


class Gathered(TypedDict):
    """What a log knows between two lines; part of a checkpoint."""

    seconds: float
    counts: dict[str, int]
    sums: dict[str, float]


NOTHING: Gathered = {"seconds": 0.0, "counts": {}, "sums": {}}
"""What a log knows at the beginning."""


class Log:
    """Writes `{"step": 100, "seconds": 81.2, "losses": {"l1": 0.09}}` every so many steps.

    `step` counts completed steps; `seconds` is the time spent in training, over all parts of a run.

    Args:
        path: The file.
        every: Steps per line.
    """

    def __init__(self, path: Path, every: int) -> None:
        self._path, self._every = path, every
        self._counts, self._sums = dict[str, int](), dict[str, float]()
        self._began = monotonic()

    @property
    def gathered(self) -> Gathered:
        """What a checkpoint must hold so that the next line comes out the same."""
        return {
            "seconds": monotonic() - self._began,
            "counts": dict(self._counts),
            "sums": dict(self._sums),
        }

    def resume(self, step: int, gathered: Gathered) -> None:
        """Go on from a checkpoint: lines past its step are dropped, since they come again."""
        self._counts, self._sums = dict(gathered["counts"]), dict(gathered["sums"])
        self._began = monotonic() - gathered["seconds"]
        if self._path.is_file():
            lines = self._path.read_text("utf-8").splitlines()
            kept = "".join(f"{line}\n" for line in lines if _step_of(line) <= step)
            atomic_write(self._path, lambda path: path.write_text(kept, "utf-8"))

    def add(self, step: int, losses: Mapping[str, float]) -> dict[str, float]:
        """Take in one step's losses, and write a line when it is time for one.

        Args:
            step: Completed steps.
            losses: By name. One that not every step has is averaged over the steps that have it.

        Returns:
            Means since the last line, this step among them.

        Raises:
            StoreError: The line cannot be written.
        """
        for name, value in losses.items():
            self._counts[name] = self._counts.get(name, 0) + 1
            self._sums[name] = self._sums.get(name, 0.0) + value
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        if step % self._every == 0:
            self._write(step, means)
            self._counts, self._sums = {}, {}
        return means

    def _write(self, step: int, means: dict[str, float]) -> None:
        seconds = round(monotonic() - self._began, 3)
        line = json.dumps({"step": step, "seconds": seconds, "losses": means})
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be written: {error.strerror}.",
                mend="Mend the cause, then continue with --resume.",
            ) from error


def _step_of(line: str) -> float:
    """The step of a line; infinity for one that a kill cut short."""
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return float("inf")
