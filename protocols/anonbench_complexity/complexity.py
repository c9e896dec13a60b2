"""`complexity`: what a method's networks cost for one image, with whatever weights."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from anonbench import registry
from anonbench.cards import MethodCard, ProtocolCard
from anonbench.engine.models import resolve_device
from anonbench.errors import UserError
from anonbench.interfaces import Dataset, Evidence, Profiled
from anonbench.measuring import Settings, metric, no_metric, read_settings
from anonbench.results.record import Counts, Interval, Metric, Reduction
from anonbench.values import Needs, Scores
from anonbench_complexity.profile import Plan, Scope, profile

UNKNOWN = "the method does not show its networks"
NO_NETWORK = "the method has no network"

PREFIXES: dict[Scope, str] = {"core": "", "inference": "inference-"}
"""Of the names of metrics: those of the core network have the names of the papers' columns."""

SUMS = {
    "parameters": ("parameters", 1e6),
    "parameters-trainable": ("trainable", 1e6),
    "macs": ("flops", 2e9),
    "flops": ("flops", 1e9),
}
"""Per metric the scores that it sums, and how many make its unit."""


class Options(Settings):
    """Settings of `complexity`.

    Attributes:
        warmups: Passes before those that are timed.
        repeats: Timed passes.
        seed: Of the arbitrary weights and pixels.
    """

    warmups: int = Field(ge=1)
    repeats: int = Field(ge=3)
    seed: int = Field(ge=0)


class Complexity:
    """Builds a method's networks with arbitrary weights, counts, and runs them on one image.

    No image and no weights are read. Time and memory are those of this machine.

    Args:
        card: Its config has `warmups`, `repeats` and `seed`.

    Raises:
        BadConfig: One of these is not allowed.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        self.options = read_settings(Options, card)

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """Nothing."""
        return Needs()

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """Sizes of P networks, and the time and memory that they take.

        Returns:
            `part` (names), `core` (bool), `passes`, `parameters`, `trainable` and `flops`, each
            `[P]`; `side` of the method's crops in pixels; `core_seconds` and `inference_seconds`
            `[repeats]`, `core_memory` and `inference_memory` in bytes, all of them NaN where there
            is no network or no way to measure; `threads` and `device`. For a method that does not
            show its networks only `reason`.

        Raises:
            UserError: A process that measures died.
        """
        if not isinstance(registry.methods.load(evidence.method.name), Profiled):
            return {"reason": np.array(UNKNOWN)}
        found = {
            scope: self._measured(evidence.method, evidence.device, scope) for scope in PREFIXES
        }
        costs = {
            f"{scope}_{name}": cost[name]
            for scope, cost in found.items()
            for name in ("seconds", "memory")
        }
        columns = ("part", "core", "passes", "parameters", "trainable", "flops")
        sizes = {name: found["inference"][name] for name in (*columns, "threads", "device")}
        return {**sizes, **costs, "side": np.array(evidence.side)}

    def _measured(self, method: MethodCard, device: str, scope: Scope) -> Scores:
        """In a process of its own: nothing that was loaded before blurs its memory."""
        import torch

        plan = Plan(
            scope=scope,
            device=resolve_device(device),
            threads=torch.get_num_threads(),
            warmups=self.options.warmups,
            repeats=self.options.repeats,
            seed=self.options.seed,
        )
        try:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                return pool.submit(profile, method, plan).result()
        except BrokenProcessPool as error:
            raise UserError(
                f"The process that measured '{method.name}' died.",
                why="Usually the machine ran out of memory.",
                mend="Measure it on a machine with more memory.",
            ) from error

    def reduce(self, scores: Scores) -> Reduction:
        """Sizes, median time and peak memory, of the core network and of everything that is run."""
        if "reason" in scores:
            reason = str(scores["reason"])
            lacking = tuple(no_metric(self.card, spec.name, reason) for spec in self.card.metrics)
            return Reduction(metrics=lacking, counts=Counts(unit="networks", expected=0, used=0))
        core = scores["core"].astype(bool)
        metrics = (
            *self._sizes(scores, "", core),
            self._seconds(scores, "core"),
            self._memory(scores, "core"),
            *self._sizes(scores, "inference-", np.ones_like(core)),
            self._seconds(scores, "inference"),
            self._memory(scores, "inference"),
        )
        crop = {"crop side in pixels": int(scores["side"])}
        counts = Counts(unit="networks", expected=len(core), used=len(core), detail=crop)
        return Reduction(metrics=metrics, counts=counts)

    def _sizes(self, scores: Scores, prefix: str, parts: NDArray[np.bool_]) -> Iterator[Metric]:
        """Sums over some networks, with what each of them adds."""
        names = scores["part"][parts].astype(str).tolist()
        for name, (column, unit) in SUMS.items():
            values = scores[column][parts].astype(np.float64) / unit
            detail = dict(zip(names, values.tolist(), strict=True))
            yield metric(self.card, prefix + name, values.sum(), len(names), detail=detail)

    def _seconds(self, scores: Scores, scope: Scope) -> Metric:
        name, seconds = f"{PREFIXES[scope]}seconds", scores[f"{scope}_seconds"].astype(np.float64)
        if np.isnan(seconds).any():
            return no_metric(self.card, name, NO_NETWORK)
        low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75])
        threads = int(scores["threads"])
        method = (
            f"interquartile range of {len(seconds)} runs of one image after "
            f"{self.options.warmups} to warm up{_multiplied(scores, scope)}; "
            f"{scores['device']}, {threads} threads, float32"
        )
        spread = Interval(low=low, high=high, level=0.5, method=method)
        detail = {"threads": float(threads), "fastest": seconds.min(), "slowest": seconds.max()}
        return metric(self.card, name, median, len(seconds), intervals=(spread,), detail=detail)

    def _memory(self, scores: Scores, scope: Scope) -> Metric:
        name, memory = f"{PREFIXES[scope]}peak-memory", float(scores[f"{scope}_memory"])
        if np.isnan(scores[f"{scope}_seconds"].astype(np.float64)).any():
            return no_metric(self.card, name, NO_NETWORK)
        if np.isnan(memory):
            reason = f"peak memory is not measured on {scores['device']} of this system"
            return no_metric(self.card, name, reason)
        return metric(self.card, name, memory / 2**20, 1)


def _multiplied(scores: Scores, scope: Scope) -> str:
    """What was run once and counted several times, in the words of an interval's method."""
    passes = scores["passes"].astype(np.int64)
    several = passes > 1
    if scope == "core":
        several &= scores["core"].astype(bool)
    named = zip(scores["part"][several].astype(str), passes[several], strict=True)
    return "".join(f", {name} once for {count}" for name, count in named)
