"""Running a stage: only what the store lacks, in batches, here or in worker processes."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from typing import Literal, NamedTuple

from anonbench.engine.environment import peak_memory_mb
from anonbench.engine.faces import Item
from anonbench.engine.progress import Progress
from anonbench.engine.stages import Stage
from anonbench.engine.store import Artefact, Row, Store
from anonbench.errors import UserError
from anonbench.results.record import StageReport

SHARD_ROWS = 64
"""Rows per shard: at most this much is computed again after a kill."""

Overwrite = Literal["never", "missing", "always"]


@dataclass
class Executor:
    """Computes stages into a store and remembers what it did.

    Args:
        store: Where rows go.
        progress: Shows it.
        batch_size: Images per call of a network.
        workers: Worker processes for stages that gain from them; 1 means none.
        overwrite: `always` forgets stored rows once per run, before computing them again.
        reports: What each stage took, by its label.
        worker_memory_mb: Peak memory of each worker process that was started, by process id.
    """

    store: Store
    progress: Progress
    batch_size: int
    workers: int
    overwrite: Overwrite = "missing"
    reports: dict[str, StageReport] = field(default_factory=dict)
    worker_memory_mb: dict[int, float] = field(default_factory=dict)
    _fresh: set[str] = field(default_factory=set)

    def run(self, stage: Stage, ids: Sequence[str]) -> Artefact:
        """Compute the rows of a stage that are missing.

        Raises:
            StoreError: A shard cannot be written; all earlier ones stay.
            UserError: A plug-in misbehaves or lacks something.
        """
        started = time.perf_counter()
        artefact = self.store.artefact(stage.name, stage.key)
        with artefact.lock():
            if self.overwrite == "always" and artefact.key not in self._fresh:
                artefact.forget()
            self._fresh.add(artefact.key)
            todo = artefact.missing(ids)
            with self.progress.stage(stage.label, len(ids), len(ids) - len(todo)) as advance:
                for rows in self._shards(stage, todo, advance):
                    artefact.write(rows)
        seconds = round(time.perf_counter() - started, 3)
        self._report(stage.label, seconds, len(ids), len(todo), len(artefact.failed(ids)))
        return artefact

    def _report(self, label: str, seconds: float, items: int, computed: int, failed: int) -> None:
        """Add to the report of a label: with other seeds, the same stage runs once more."""
        if not items:
            return
        before = self.reports.get(label, StageReport(name=label, seconds=0, items=0, computed=0))
        self.reports[label] = StageReport(
            name=label,
            seconds=round(before.seconds + seconds, 3),
            items=before.items + items,
            computed=before.computed + computed,
            failed=before.failed + failed,
        )

    def _shards(
        self, stage: Stage, ids: Sequence[str], advance: Callable[[int], None]
    ) -> Iterator[list[Row]]:
        """Rows gathered to shards; what is gathered when the user stops is still handed out."""
        gathered: list[Row] = []
        try:
            for rows in self._batches(stage, ids):
                gathered += rows
                advance(len(rows))
                if len(gathered) >= SHARD_ROWS:
                    yield gathered
                    gathered = []
        except KeyboardInterrupt:
            if gathered:
                yield gathered
            raise
        if gathered:
            yield gathered

    def _batches(self, stage: Stage, ids: Sequence[str]) -> Iterator[list[Row]]:
        batches = _batched(stage.items(ids), self.batch_size)
        if stage.parallel and self.workers > 1 and len(ids) > 2 * self.batch_size:
            return self._in_workers(stage, batches)
        return (stage.compute(batch) for batch in batches)

    def _in_workers(self, stage: Stage, batches: Iterator[list[Item]]) -> Iterator[list[Row]]:
        """Batches computed in processes, handed out in order, few of them in flight."""
        pool = ProcessPoolExecutor(self.workers, mp_context=get_context("spawn"))
        flying: deque[Future[_Weighed]] = deque()

        def landed() -> list[Row]:
            done = flying.popleft().result()
            self.worker_memory_mb[done.process] = done.memory_mb
            return done.rows

        try:
            for batch in batches:
                flying.append(pool.submit(_compute, stage, batch))
                if len(flying) > 2 * self.workers:
                    yield landed()
            while flying:
                yield landed()
        except BrokenProcessPool as error:
            raise UserError(
                f"A worker process died during '{stage.label}'.",
                why="Usually the machine ran out of memory. What was computed is kept.",
                mend="Run the same command again, with --workers 1.",
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Weighed(NamedTuple):
    """What a worker hands back: rows, and what its process has needed so far."""

    rows: list[Row]
    process: int
    memory_mb: float


def _compute(stage: Stage, batch: list[Item]) -> _Weighed:
    return _Weighed(stage.compute(batch), os.getpid(), peak_memory_mb())


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
