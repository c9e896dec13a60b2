"""What runs in Ray's actors: the engine of one machine, with networks that stay loaded."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import NamedTuple

from anonbench import weights
from anonbench.cards import JudgeCard, MethodCard
from anonbench.engine import models
from anonbench.engine.environment import peak_memory_mb
from anonbench.engine.faces import Item, Originals
from anonbench.engine.local import Local
from anonbench.engine.steps import Stage
from anonbench.engine.work import Batch, Done, Inference, Launched, Numerics
from anonbench.errors import BadData, UserError
from anonbench.results.record import Environment


@dataclass(frozen=True)
class Setup:
    """What an actor must know to compute as the process that started it would.

    Attributes:
        numerics: How its networks compute.
        workers: Processes beside its networks; 1 means none.
        threads: Threads of PyTorch.
        offline: Whether it must not fetch weights.
    """

    numerics: Numerics
    workers: int
    threads: int
    offline: bool


class Report(NamedTuple):
    """What an actor hands back: a batch's rows, what readers must know, and its peak memory."""

    done: Done
    notes: list[str]
    process: tuple[str, int]
    memory_mb: float


class Actor:
    """Computes batches wherever Ray puts it.

    With worker processes it is called from several threads, so that some batches are prepared
    and finished while another has the networks.

    Args:
        setup: How to compute.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._notes: list[str] = []
        inference = _OneAtATime(setup.numerics, self._notes.append)
        self._engine = Local(inference, setup.workers)

    def begin(self) -> Environment:
        """Be ready to compute, and tell with what.

        Raises:
            BadConfig: The device does not exist here.
        """
        import torch

        torch.set_num_threads(self._setup.threads)  # Ray has its own idea, by OMP_NUM_THREADS
        numerics = self._setup.numerics
        models.forbid_tf32(models.resolve_device(numerics.device))
        return self._engine.environment(numerics.precision)

    def compute(self, stage: Stage, items: list[Item]) -> Report:
        """All steps of a stage on a batch.

        Raises:
            UserError: The node lacks something, or a plug-in misbehaves.
        """
        _require(stage, self._setup.offline)
        try:
            (done,) = self._engine.run(stage, [items], many=True)
        except UserError as error:
            if isinstance(error.__cause__, BrokenProcessPool):
                os._exit(1)  # an actor without its workers is replaced as a whole
            raise
        notes = [self._notes.pop() for _ in list(self._notes)]
        memory = peak_memory_mb() + self._engine.memory_mb
        return Report(done, notes, (socket.gethostname(), os.getpid()), memory)


class _OneAtATime(Inference):
    """Networks that one thread at a time may use."""

    def __init__(self, numerics: Numerics, warn: Callable[[str], None]) -> None:
        super().__init__(numerics, warn)
        self._free = threading.Lock()

    def launch(self, stage: Stage, batch: Batch) -> Launched:
        with self._free:
            return super().launch(stage, batch)


def _require(stage: Stage, offline: bool) -> None:
    """Make sure of the dataset's folder on this node, and fetch the weights that it lacks."""
    for part in _parts(stage):
        if isinstance(part, Originals) and not Path(part.root).is_dir():
            raise BadData(
                f"The dataset '{part.card.name}' is not in {part.root} on the node "
                f"{socket.gethostname()}.",
                why="Actors read its images themselves, from the same path on every node.",
                mend="Copy or mount it there, then run the same command again.",
            )
        if isinstance(part, MethodCard | JudgeCard):
            absent = [name for name in part.weights if not weights.is_present(name)]
            if absent:
                _fetch(absent, offline)


def _fetch(names: list[str], offline: bool) -> None:
    try:
        weights.fetch(names, offline=offline)
    except UserError as error:
        error.what = f"On the node {socket.gethostname()}: {error.what}"
        error.args = (" ".join(part for part in (error.what, error.why, error.mend) if part),)
        raise


def _parts(thing: object) -> Iterator[object]:
    """A stage, and whatever stands in its fields."""
    yield thing
    if is_dataclass(thing):
        for one in fields(thing):
            yield from _parts(getattr(thing, one.name))
