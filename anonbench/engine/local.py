"""Computing on this machine: networks in this process, all else beside them in worker processes."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from typing import Generic, NamedTuple, Protocol, TypeVar

from anonbench.engine import models
from anonbench.engine.environment import environment, peak_memory_mb
from anonbench.engine.faces import Item
from anonbench.engine.steps import Stage
from anonbench.engine.work import Batch, Done, Inference, Landed, Launched, finish, land, prepare
from anonbench.errors import UserError
from anonbench.results.record import Environment

Given = TypeVar("Given")
Made = TypeVar("Made")

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """What computes stages: this machine, or others too."""

    @property
    def memory_mb(self) -> float:
        """Peak memory of its processes besides this one, in MiB."""
        ...

    def run(self, stage: Stage, batches: Iterable[list[Item]], many: bool) -> Iterator[Done]:
        """Compute batches; they come in whichever order they are done.

        Args:
            stage: The stage.
            batches: Inputs.
            many: Whether there is enough to do for processes to be worth their start.

        Raises:
            UserError: A process died, or a plug-in misbehaves.
        """
        ...

    def environment(self, precision: str) -> Environment:
        """Facts about what computes, for the record.

        Args:
            precision: What networks compute in, as results call it.
        """
        ...

    def close(self) -> None:
        """End its processes, whatever they are doing; a next run starts new ones."""
        ...


class Local:
    """The engine of one machine.

    Images are prepared and finished in worker processes, a few batches ahead of and behind the
    networks, which have this process. The batches are the same whoever prepares them, so results
    are too. Where the networks may be used by several threads, this may be, too.

    Args:
        inference: Runs the networks.
        workers: Worker processes; 1 means none.
    """

    def __init__(self, inference: Inference, workers: int) -> None:
        self._inference, self._workers = inference, workers
        self._processes = workers
        self._pool: ProcessPoolExecutor | None = None
        self._starting = threading.Lock()
        self._memory_mb: dict[int, float] = {}

    @property
    def memory_mb(self) -> float:
        """Peak memory of the largest workers that may have run at once, in MiB."""
        return sum(sorted(self._memory_mb.values(), reverse=True)[: self._workers])

    def run(self, stage: Stage, batches: Iterable[list[Item]], many: bool) -> Iterator[Done]:
        """See `Engine`."""
        if self._workers == 1 or not many:
            return (self._inference.run(stage, batch) for batch in batches)
        prepared = self._ahead(prepare, stage, batches)
        landed = self._landed(stage, prepared)
        if stage.encodes:
            return self._ahead(finish, stage, landed)
        return (finish(stage, one) for one in landed)

    def environment(self, precision: str) -> Environment:
        """See `Engine`."""
        return environment(models.resolve_device(self._inference.numerics.device), precision)

    def close(self) -> None:
        """See `Engine`."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            self._pool = None

    def _landed(self, stage: Stage, prepared: Iterator[Batch]) -> Iterator[Landed]:
        """What networks told, always one batch behind, so that no device waits for this process."""
        launched: Launched | None = None
        for batch in prepared:
            previous, launched = launched, self._inference.launch(stage, batch)
            if previous is not None:
                yield self._timed(stage, land(previous))
        if launched is not None:
            yield self._timed(stage, land(launched))

    def _timed(self, stage: Stage, landed: Landed) -> Landed:
        """With the seconds of models that ran in workers side by side, as they pass here."""
        if stage.networks:
            return landed
        return landed._replace(seconds=landed.seconds / self._workers)

    def _ahead(
        self, call: Callable[[Stage, Given], Made], stage: Stage, inputs: Iterable[Given]
    ) -> Iterator[Made]:
        """Results of calls in workers, in order, few of them in flight."""
        flying: deque[_Flight[Given, Made]] = deque()
        for one in inputs:
            flying.append(self._send(call, stage, one))
            if len(flying) > 2 * self._workers:
                yield self._arrived(call, stage, flying.popleft())
        while flying:
            yield self._arrived(call, stage, flying.popleft())

    def _send(
        self, call: Callable[[Stage, Given], Made], stage: Stage, given: Given
    ) -> _Flight[Given, Made]:
        while True:
            pool = self._workers_pool()
            try:
                return _Flight(given, pool, pool.submit(_weighed, call, stage, given))
            except BrokenProcessPool as error:
                self._go_on_with_fewer(pool, stage, error)

    def _arrived(
        self, call: Callable[[Stage, Given], Made], stage: Stage, flight: _Flight[Given, Made]
    ) -> Made:
        """What a worker made; if one died meanwhile, what another makes of the same input."""
        while True:
            try:
                done = flight.future.result()
            except BrokenProcessPool as error:
                self._go_on_with_fewer(flight.pool, stage, error)
                flight = self._send(call, stage, flight.given)
            else:
                self._memory_mb[done.process] = done.memory_mb
                return done.made

    def _go_on_with_fewer(
        self, broken: ProcessPoolExecutor, stage: Stage, error: BrokenProcessPool
    ) -> None:
        """Put half as many processes, which need less memory, in place of those that broke."""
        with self._starting:
            if broken is not self._pool:  # that was done already, while this input was on its way
                return
            self.close()
            if self._processes == 1:
                raise UserError(
                    f"A worker process died during '{stage.label}', with no other beside it.",
                    why="The machine ran out of memory, or an image crashes native code. What "
                    "was computed is kept.",
                    mend="Run the same command again, with --workers 1.",
                ) from error
            before, self._processes = self._processes, self._processes // 2
        _log.warning(
            "A worker process died during '%s', usually because memory ran out; from here on "
            "there are %d instead of %d.",
            *(stage.label, self._processes, before),
        )

    def _workers_pool(self) -> ProcessPoolExecutor:
        with self._starting:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._processes, mp_context=get_context("spawn"), initializer=_begin
                )
                with _deaf_to(signal.SIGINT):
                    self._pool.submit(os.getpid)  # starts them all
            return self._pool


class _Flight(NamedTuple, Generic[Given, Made]):
    """An input on its way through a worker of some pool."""

    given: Given
    pool: ProcessPoolExecutor
    future: Future[_Weighed[Made]]


class _Weighed(NamedTuple, Generic[Made]):
    """What a worker hands back, and what its process has needed so far."""

    made: Made
    process: int
    memory_mb: float


def _weighed(call: Callable[[Stage, Given], Made], stage: Stage, given: Given) -> _Weighed[Made]:
    return _Weighed(call(stage, given), os.getpid(), peak_memory_mb())


@contextmanager
def _deaf_to(number: signal.Signals) -> Iterator[None]:
    """Processes that start in the block never get the signal; this one gets it after the block.

    A worker would otherwise end with a traceback where Ctrl-C comes before `_begin`.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """A worker has one thread, leaves Ctrl-C to its parent, and ends with it however that ends."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
