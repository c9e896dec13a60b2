"""Running a stage: only what the store lacks, in batches, written shard by shard."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from anonbench.engine import models
from anonbench.engine.job import Overwrite, RunConfig
from anonbench.engine.local import Engine, Local
from anonbench.engine.progress import Progress
from anonbench.engine.steps import Stage
from anonbench.engine.store import Artefact, DamagedShard, Row, Store
from anonbench.engine.work import Done, Inference, Numerics
from anonbench.errors import StoreError
from anonbench.results.record import StageReport

Computed = TypeVar("Computed")

SHARD_ROWS = 64
"""Rows per shard: at most this much is computed again after a kill."""

BATCH = 32
"""Images per call of a network of which no card says at how many it is fastest."""


@dataclass
class Executor:
    """Computes stages into a store and remembers what it did.

    Args:
        store: Where rows go.
        engine: Computes them.
        progress: Shows it.
        batch_size: Images per call of a network, where the user names it.
        overwrite: `always` forgets stored rows once per run, before computing them again.
        reports: What each stage took, by its label.
        notes: What a reader of the results has to know about how they were computed.
    """

    store: Store
    engine: Engine
    progress: Progress
    batch_size: int | None
    overwrite: Overwrite = "missing"
    reports: dict[str, StageReport] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
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
                inside = _store(self._batches(stage, ids, todo), artefact, advance)
        self._report(
            StageReport(
                name=stage.label,
                seconds=round(time.perf_counter() - started, 3),
                network_seconds=round(inside, 3),
                items=len(ids),
                computed=len(todo),
                failed=len(artefact.failed(ids)),
            )
        )
        return artefact

    def _report(self, new: StageReport) -> None:
        """Add to the report of a label: with other seeds, the same stage runs once more."""
        if not new.items:
            return
        old = self.reports.get(new.name)
        numbers = ("seconds", "network_seconds", "items", "computed", "failed")
        if old is not None:
            sums = {name: getattr(old, name) + getattr(new, name) for name in numbers}
            new = StageReport(name=new.name, **{n: round(value, 3) for n, value in sums.items()})
        self.reports[new.name] = new

    def _batches(self, stage: Stage, ids: Sequence[str], todo: Sequence[str]) -> Iterator[Done]:
        """Batches that end at the same samples whatever was computed before.

        A network may round otherwise in another batch; a run that was stopped and goes on makes
        the same batches as one that was not.
        """
        size = self.batch_size or stage.batch or BATCH
        place = {sample_id: number // size for number, sample_id in enumerate(ids)}
        batches = (list(stage.items(list(part))) for _, part in groupby(todo, place.__getitem__))
        return self.engine.run(stage, batches, many=len(todo) > 2 * size)


def _store(batches: Iterable[Done], artefact: Artefact, advance: Callable[[int], None]) -> float:
    """Write batches as they come, in shards; what is gathered when it ends, however it ends, too.

    Returns:
        Seconds inside networks.
    """
    gathered, inside = list[Row](), 0.0
    try:
        for done in batches:
            gathered += done.rows
            inside += done.network_seconds
            advance(len(done.rows))
            if len(gathered) >= SHARD_ROWS:
                artefact.write(gathered)
                gathered = []
    finally:
        # Also when stopped in the middle of writing: written again, a shard is the same file.
        artefact.write(gathered)
    return inside


def mending(compute: Callable[[], Computed]) -> Computed:
    """Compute something; where stored rows turn out to be damaged, once more without them.

    Raises:
        StoreError: A shard is damaged again after it was written anew.
    """
    seen: set[Path] = set()
    while True:
        try:
            return compute()
        except DamagedShard as error:
            if error.shard in seen:
                raise StoreError(
                    f"The shard {error.shard} is damaged again, just after it was written.",
                    why="The disk or the memory of this machine cannot be trusted.",
                    mend="Set ANONBENCH_HOME to another disk, then run the same command again.",
                ) from error
            seen.add(error.shard)


@contextmanager
def executor(config: RunConfig, progress: Progress) -> Iterator[Executor]:
    """What a user asked for, ready to compute; its processes end with the block."""
    notes: list[str] = []

    def note(text: str) -> None:
        progress.warn(text)
        notes.append(text)

    engine = _engine(config, progress.warn, note)
    store = Store(progress.warn)
    try:
        yield Executor(store, engine, progress, config.batch_size, config.overwrite, notes=notes)
    finally:
        engine.close()


def _engine(config: RunConfig, warn: Callable[[str], None], note: Callable[[str], None]) -> Engine:
    if config.cluster is not None:
        from anonbench.engine.ray import Ray

        return Ray(config, warn, note)
    models.forbid_tf32(models.resolve_device(config.device))
    return Local(Inference(Numerics.of(config), note), config.workers)
