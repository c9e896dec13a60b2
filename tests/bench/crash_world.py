"""A run of the command line in a world of its own, to be killed and compared with its like.

A world is a folder: the cache, the results, a count of what the toys computed. Two worlds over the
same images must end with the same results, whatever happened in between.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from anonbench.engine.execute import SHARD_ROWS

TOYS = Path(__file__).parents[1] / "toybench"
TIMING = ("created", "stages", "wall_seconds", "peak_memory_mb")
"""What two results of the same computation may differ in."""

CHECKOUT = ("commit", "dirty")
"""Likewise in their environment, where somebody commits or edits between two runs."""

BATCH = 4
TOY_RUN = (
    *("--method", "toy-vault,toy-tint", "--judge"),
    "toy-recogniser,toy-perceptual,toy-colours,toy-corners,toy-photographer",
    *("--detector", "toy-detector", "--dataset", "folder:folds=4:pairs=40", "--protocol"),
    "lfw-tar:far=0.05:bootstrap=100,utility:images=all,recovery:images=all,password:images=all",
    *("--device", "cpu", "--batch-size", str(BATCH)),
)


def bound(workers: int, batch: int = BATCH) -> int:
    """Images that may be computed again after a kill.

    A shard is written once it has `SHARD_ROWS`, so up to that and a batch more are in memory;
    besides, batches are on their way: two for each worker and one, those that the network has or
    has just had, and one in the writer's hands.
    """
    return SHARD_ROWS + batch * (2 * workers + 4)


def paint(root: Path, people: int = 20, images: int = 8) -> Path:
    """People who differ by a coarse pattern, each with some noisy images."""
    random = np.random.default_rng(0)
    for person in range(people):
        pattern = random.integers(40, 216, (4, 4, 3))
        folder = root / f"p{person:02d}"
        folder.mkdir(parents=True)
        for number in range(images):
            noise = random.normal(0, 12, (96, 96, 3))
            image = np.kron(pattern, np.ones((24, 24, 1))) + noise
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return root


def opened_stages(home: Path) -> list[Path]:
    """The locks of all artefacts that runs have opened in a store."""
    return list(home.glob("store/*/*/*/.lock"))


@dataclass(frozen=True)
class World:
    """One folder, and the command that is run in it.

    Attributes:
        folder: Cache, results and count stand in it.
        options: Of `anonbench run`, without the output folder.
        weights: Where weights are taken from, for methods that have some.
    """

    folder: Path
    options: tuple[str, ...]
    weights: Path | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def start(self, *before: str) -> subprocess.Popen[str]:
        """Start the command; `before` is what Python is told before `run`."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self.weights and not (self.home / "weights").exists():
            (self.home / "weights").symlink_to(self.weights)
        command = [sys.executable, *(before or ("-m", "anonbench")), "run", *self.options]
        path = os.pathsep.join([str(TOYS), os.environ.get("PYTHONPATH", "")])
        own = {"ANONBENCH_HOME": str(self.home), "TOYBENCH_COUNTER": str(self.folder / "count")}
        return subprocess.Popen(
            [*command, "--output", str(self.runs)],
            env={**os.environ, **own, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> str:
        """Run the command to its end; what it said."""
        process = self.start()
        out, err = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the run ended with {process.returncode}\n{out}\n{err}")
        return err

    def counts(self) -> Counter[str]:
        """How many images the toys detected, anonymized, embedded ... in all."""
        path = self.folder / "count"
        return Counter(path.read_text().split() if path.exists() else ())

    def results(self) -> dict[str, Any]:
        """Every result without timing, and the bytes of every file of scores, by its path."""
        facts: dict[str, Any] = {}
        for path in sorted(self.runs.rglob("*")):
            name = str(path.relative_to(self.runs))
            if path.suffix == ".json":
                record = json.loads(path.read_text())
                for of, keys in ((record, TIMING), (record["environment"], CHECKOUT)):
                    for key in keys:
                        del of[key]
                facts[name] = record
            elif path.suffix == ".npz":
                facts[name] = path.read_bytes()
        return facts

    def leftovers(self) -> list[Path]:
        """Temporary files."""
        every = [*self.home.rglob("*"), *self.runs.rglob("*")]
        return [path for path in every if path.name.startswith(".tmp-") or path.suffix == ".tmp"]

    def stage(self) -> str:
        """Where the run is: the artefact it opened last, or what it writes."""
        opened = [(path.stat().st_mtime, path) for path in opened_stages(self.home)]
        results = [(path.stat().st_mtime, path) for path in self.runs.rglob("*.json")]
        if not opened:
            return "start"
        if results and max(results)[0] > max(opened)[0]:
            return "between jobs"
        return max(opened)[1].relative_to(self.home).parts[1]

    def processes(self) -> list[int]:
        """Processes that work in this world, as Linux knows them."""
        mark = f"ANONBENCH_HOME={self.home}".encode()
        return [pid for pid, environment in _environments() if mark in environment.split(b"\0")]

    def seconds_to_silence(self, patience: float = 30) -> float:
        """Wait until no process works in this world any more; raises where some does not end."""
        started = time.monotonic()
        while left := self.processes():
            if time.monotonic() > started + patience:
                raise RuntimeError(f"processes {left} outlive the run in {self.folder}")
            time.sleep(0.02)
        return time.monotonic() - started


def _environments() -> Iterator[tuple[int, bytes]]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield int(path.parent.name), path.read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
