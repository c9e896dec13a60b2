"""Computing on Ray: actors on one or many machines hold the networks, batches go to and fro.

This process alone reads from and writes to the store; what an actor needs of it comes with the
batch. Datasets stand at the same path on every node, weights in each node's own cache. An actor
has as many threads as this process, so batches and results are the same as without Ray.
docs/scaling.md says how to run on a cluster and what that costs.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from anonbench.engine.actor import Actor, Report, Setup
from anonbench.engine.environment import environment, usable_cores
from anonbench.engine.faces import Item
from anonbench.engine.job import RunConfig
from anonbench.engine.steps import Stage
from anonbench.engine.work import Done, Numerics
from anonbench.errors import BadConfig, MissingExtra, UserError
from anonbench.results.record import Environment

TRIES = 3
"""Actors that a batch may cost before the run gives up on it."""

OBJECT_STORE = 512 * 2**20
"""Bytes of memory for batches on their way, where Ray is started here."""

PATIENCE = 60.0
"""Seconds in which nothing happens before the user is told that actors wait for a place."""


class _Task:
    """A batch, and how many actors died with it in hands."""

    def __init__(self, items: list[Item]) -> None:
        self.items, self.deaths = items, 0


class _Member:
    """An actor as this process sees it.

    Attributes:
        actor: Ray's handle.
        beginning: What it will tell once it runs; None once it has told.
        flying: The batches that were sent to it, by reference, in their order.
    """

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.beginning: Any = actor.begin.remote()
        self.flying: dict[Any, _Task] = {}

    @property
    def references(self) -> list[Any]:
        """All that it will answer."""
        return list(self.flying) if self.beginning is None else [self.beginning]


class _Waiting:
    """Batches that nobody has: those of dead actors, then those that were never sent."""

    def __init__(self, batches: Iterable[list[Item]]) -> None:
        self._back: list[_Task] = []
        self._new = map(_Task, batches)

    def take(self) -> _Task | None:
        """The next one."""
        return self._back.pop(0) if self._back else next(self._new, None)

    def give_back(self, tasks: Iterable[_Task]) -> None:
        """These are next."""
        self._back[:0] = tasks


class Ray:
    """The engine of a cluster, which may be this machine alone. Ray is started on first use.

    Args:
        config: What the user asks for, with a cluster.
        warn: Is told what only the user has to know.
        note: Is told what readers of the results have to know.

    Raises:
        MissingExtra: Ray is not installed.
    """

    def __init__(
        self, config: RunConfig, warn: Callable[[str], None], note: Callable[[str], None]
    ) -> None:
        assert config.cluster is not None
        self._config, self._cluster = config, config.cluster
        self._warn, self._note = warn, note
        self._ray = _imported()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._started = False
        self._crew: list[_Member] = []
        self._starts = 0
        self._facts: list[Environment] = []
        self._said: set[str] = set()
        self._memory_mb: dict[tuple[str, int], float] = {}

    # ------------------------------------------------------------------------------- as an engine
    @property
    def memory_mb(self) -> float:
        """See `Engine`; of the largest actors that may have run at once."""
        return sum(sorted(self._memory_mb.values(), reverse=True)[: len(self._crew)])

    def environment(self, precision: str) -> Environment:
        """See `Engine`; of this process where actors had nothing to compute."""
        first, *_ = self._facts or [environment("cpu", precision)]
        names = {name: {getattr(facts, name) for facts in self._facts} for name in ("cpu", "gpu")}
        several = {name: "; ".join(sorted(found)) for name, found in names.items() if found}
        return first.model_copy(update={**several, "precision": precision})

    def run(self, stage: Stage, batches: Iterable[list[Item]], many: bool) -> Iterator[Done]:
        """See `Engine`; batches come as they are done."""
        waiting = _Waiting(batches)
        try:
            while self._send(stage, waiting):
                for report in self._reports(stage, waiting):
                    self._heed(report)
                    yield report.done._replace(
                        network_seconds=report.done.network_seconds / len(self._crew)
                    )
        finally:
            self._recall()

    def close(self) -> None:
        """See `Engine`; a Ctrl-C meanwhile changes nothing."""
        with _own_signals(deaf=True):
            for member in self._crew:
                self._ray.kill(member.actor)
            self._crew = []
            if self._started:
                self._ray.shutdown()
                self._started = False
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    # ---------------------------------------------------------------------------- batches and rows
    def _send(self, stage: Stage, waiting: _Waiting) -> bool:
        """Give every actor enough to do; whether anything is under way then."""
        while (task := waiting.take()) is not None:
            member = self._least_busy()
            if member is None:
                waiting.give_back([task])
                return True
            member.flying[member.actor.compute.remote(stage, task.items)] = task
        return any(member.flying for member in self._crew)

    def _least_busy(self) -> _Member | None:
        """An actor that should get a batch, if there is one."""
        if not self._crew:
            self._begin()
        ready = [member for member in self._crew if member.beginning is None]
        found = min(ready, key=lambda member: len(member.flying), default=None)
        return found if found is not None and len(found.flying) < self._ahead else None

    def _reports(self, stage: Stage, waiting: _Waiting) -> Iterator[Report]:
        """What the next actor has to say, which is nothing of a batch where it begins or died."""
        members = {ref: member for member in self._crew for ref in member.references}
        ready, _ = self._ray.wait(list(members), num_returns=1, timeout=PATIENCE)
        if not ready:
            self._tell_patience()
        for reference in ready:
            member = members[reference]
            try:
                said = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise _cause(error) from None
            except self._ray.exceptions.RayError as error:
                self._replace(member, stage, waiting, _reason(error))
                continue
            if reference == member.beginning:
                self._meet(member, said)
            else:
                del member.flying[reference]
                yield said

    def _heed(self, report: Report) -> None:
        self._memory_mb[report.process] = report.memory_mb
        for text in report.notes:
            if text not in self._said:
                self._said.add(text)
                self._note(text)

    def _recall(self) -> None:
        """Forget what is under way, and start none of it that has not been."""
        for member in self._crew:
            for reference in member.flying:
                self._ray.cancel(reference)
            member.flying.clear()

    # -------------------------------------------------------------------------------------- actors
    @property
    def options(self) -> dict[str, Any]:
        """What Ray is told about an actor; a dead one is replaced here, not by Ray."""
        return {
            "num_cpus": self._config.workers,
            "num_gpus": self._cluster.gpus_per_actor,
            "max_concurrency": self._hands,
            "max_restarts": 0,
            "max_task_retries": 0,
        }

    @property
    def _ahead(self) -> int:
        """Batches that an actor has at most, those that wait for it included."""
        return 2 * self._config.workers

    @property
    def _hands(self) -> int:
        """Batches that an actor works at; several where it has processes for them."""
        return 1 if self._config.workers == 1 else self._ahead

    def _begin(self) -> None:
        """Connect to Ray, or start it here, and start the actors."""
        if not self._ray.is_initialized():
            self._connect()
        number = self._number()
        self._crew = [self._new() for _ in range(number)]

    def _connect(self) -> None:
        # Started here, actors are as important as this process; Ray gives them a niceness of 15.
        os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"})
        try:
            _require_reachable(self._cluster.address)
            with _own_signals(deaf=False):
                self._ray.init(
                    **self._place(),
                    namespace="anonbench",
                    log_to_driver=False,
                    logging_level="ERROR",
                )
        except Exception as error:  # Ray's errors of starting have no class in common but this one
            self.close()
            raise BadConfig(
                f"Ray cannot be used at '{self._cluster.address}'.",
                why=str(error).strip().partition("\n")[0],
                mend="See docs/scaling.md; without --address, Ray is started on this machine.",
            ) from error
        self._started = True

    def _place(self) -> dict[str, Any]:
        """The arguments of `ray.init` that say where; what it writes here is deleted at the end."""
        if self._cluster.address != "local":
            return {"address": self._cluster.address}
        self._folder = tempfile.TemporaryDirectory(prefix="anonbench-", ignore_cleanup_errors=True)
        return {
            "address": "local",
            "num_cpus": usable_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
            "_temp_dir": self._folder.name,
        }

    def _number(self) -> int:
        """How many actors to start: as many as asked for, or as there is room for."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        room = sum(map(self._room, nodes))
        wanted = self._cluster.num_actors or room
        if not 0 < wanted <= room:
            raise BadConfig(
                f"There is room for {room} actors of {self._config.workers} cores and "
                f"{self._cluster.gpus_per_actor:g} GPUs each on {len(nodes)} node(s), not for "
                f"{max(wanted, 1)}.",
                mend="Change --num-actors, --workers or --gpus-per-actor, or add nodes first.",
            )
        if not self._cluster.gpus_per_actor and any(node.get("GPU") for node in nodes):
            self._warn("The cluster's GPUs are not used; that would take --gpus-per-actor.")
        return wanted

    def _room(self, node: dict[str, float]) -> int:
        room = int(node.get("CPU", 0)) // self._config.workers
        share = self._cluster.gpus_per_actor
        return min(room, int(node.get("GPU", 0)) * int(1 / share + 1e-9)) if share else room

    def _new(self) -> _Member:
        import torch

        setup = Setup(
            numerics=Numerics.of(self._config),
            workers=self._config.workers,
            threads=torch.get_num_threads(),
            offline=self._config.offline,
        )
        return _Member(self._ray.remote(**self.options)(Actor).remote(setup))

    def _meet(self, member: _Member, facts: Environment) -> None:
        """An actor begins, with the same software as all others."""
        member.beginning, self._starts = None, 0
        first = self._facts[0] if self._facts else facts
        for name in ("anonbench", "packages"):
            if getattr(facts, name) != getattr(first, name):
                raise BadConfig(
                    f"The cluster's nodes differ in '{name}': {getattr(first, name)} and "
                    f"{getattr(facts, name)}.",
                    why="Their numbers could not be told apart in one result.",
                    mend="Install the same on all nodes.",
                )
        if facts not in self._facts:
            self._facts.append(facts)

    def _replace(self, member: _Member, stage: Stage, waiting: _Waiting, reason: str) -> None:
        """A new actor for one that died; its batches are next, unless they keep killing actors."""
        lost = list(member.flying.values())
        for task in lost[: self._hands]:
            task.deaths += 1
        self._starts += member.beginning is not None
        if self._starts >= TRIES:
            raise UserError(f"Actors die before they can compute, {TRIES} in a row.", why=reason)
        deadly = next((task for task in lost if task.deaths == TRIES), None)
        if deadly is not None:
            raise UserError(
                f"{TRIES} actors died during '{stage.label}', with the images {_span(deadly)} in "
                "hands.",
                why=f"{reason} What was computed is kept.",
                mend="Run the same command again with a smaller --batch-size or fewer actors.",
            )
        self._warn(f"An actor died during '{stage.label}': {reason} Its batches are given away.")
        waiting.give_back(lost)
        self._ray.kill(member.actor)
        self._crew[self._crew.index(member)] = self._new()

    def _tell_patience(self) -> None:
        absent = sum(member.beginning is not None for member in self._crew)
        if absent and "absent" not in self._said:
            self._said.add("absent")
            self._warn(f"{absent} of {len(self._crew)} actors wait for a place on the cluster.")


def _imported() -> ModuleType:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray", "--engine ray") from error
    module: ModuleType = ray
    return module


def _require_reachable(address: str) -> None:
    """Fail at once where nobody listens; Ray would try for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _span(task: _Task) -> str:
    first, last = task.items[0].id, task.items[-1].id
    return first if first == last else f"{first} to {last}"


def _cause(error: Any) -> Exception:
    """What an actor raised; where that is nobody's but ours to mend, with its traceback."""
    cause: Exception = error.cause
    if not isinstance(cause, UserError):
        cause.add_note(str(error))
    return cause


def _reason(error: Exception) -> str:
    """Why an actor died, and where, in a sentence; Ray says it in a page."""
    if type(error).__name__ == "OutOfMemoryError":
        return "The memory of its node ran out."
    said = str(error) or type(error).__name__
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    place = next((f" ({line})" for line in lines if line.startswith("ip:")), "")
    return lines[-1].partition(" There are some potential")[0].rstrip(".") + place + "."


@contextmanager
def _own_signals(deaf: bool) -> Iterator[None]:
    """Without handlers that Ray sets in the block, or that would end it half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before if deaf else ():
            signal.signal(number, signal.SIG_IGN)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
