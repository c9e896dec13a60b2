"""Which results belong together, what keeps them from being compared, and what is compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from anonbench.errors import UserError
from anonbench.results import store
from anonbench.results.record import Metric, PluginRef, Result
from anonbench.weights.filled import STAMP

if TYPE_CHECKING:
    from anonbench.values import Scores

Facts = Mapping[str, str]
_HASH, _SHOWN = 64, 12


@dataclass(frozen=True)
class Stored:
    """A result and its file."""

    result: Result
    path: Path

    def scores(self) -> dict[str, Scores]:
        """Its stored scores per judge; none where it has none or they cannot be read."""
        try:
            return store.load_scores(self.path)
        except UserError:
            return {}


def read(place: Path, report: Callable[[UserError], None]) -> list[Stored]:
    """The result of a file, or all results below a folder.

    Raises:
        UserError: It is neither, or the file is no result.
    """
    if place.is_file():
        return [Stored(store.load(place), place)]
    return [Stored(result, path) for path, result in store.load_files(place, report).items()]


@dataclass(frozen=True)
class Series:
    """Results that differ in nothing but the seed, by seed."""

    runs: Mapping[int, Stored]

    @property
    def first(self) -> Result:
        """The result of the smallest seed."""
        return self.runs[min(self.runs)].result

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, sorted."""
        return tuple(sorted(self.runs))

    def metric(self, name: str, judge: str) -> list[Metric]:
        """A metric in the order of the seeds; fewer where a run lacks it."""
        metrics = (m for seed in self.seeds for m in self.runs[seed].result.metrics)
        return [m for m in metrics if (m.name, m.judge) == (name, judge)]


def pair(
    before: Iterable[Stored], after: Iterable[Stored], *, across_methods: bool = False
) -> Iterator[tuple[Series | None, Series | None]]:
    """Series of the same method, protocol, suite and dataset, those most alike first.

    Args:
        before: Results.
        after: Other results.
        across_methods: Whether two methods are compared where either side has only one.

    Yields:
        Two series, or one and None where the other side has nothing to put beside it.
    """
    first, second = _series(before), _series(after)
    methods = [{series.first.method.name for series in side} for side in (first, second)]
    merged = across_methods and all(len(names) == 1 for names in methods)
    for slot in dict.fromkeys(_slot(series, merged) for series in (*first, *second)):
        yield from _pair_slot(
            [series for series in first if _slot(series, merged) == slot],
            [series for series in second if _slot(series, merged) == slot],
        )


def _slot(series: Series, merged: bool) -> tuple[str, ...]:
    result = series.first
    method = "" if merged else result.method.name
    return (result.protocol.name, result.suite, result.dataset.name, method)


def _pair_slot(
    first: list[Series], second: list[Series]
) -> Iterator[tuple[Series | None, Series | None]]:
    def distance(ends: tuple[Series, Series]) -> tuple[int, int, int]:
        one, other = ends[0].first, ends[1].first
        barriers = len(obstacles(one, other)) + sum(
            len(judge_obstacles(one, other, judge.name)) for judge in one.judges
        )
        return barriers, ends[0].seeds != ends[1].seeds, len(changes(one, other))

    left, right = list(first), list(second)
    for one, other in sorted(product(first, second), key=distance):
        if one in left and other in right:
            left.remove(one)
            right.remove(other)
            yield one, other
    yield from ((one, None) for one in left)
    yield from ((None, other) for other in right)


def _series(some: Iterable[Stored]) -> list[Series]:
    """Of several results of one computation the newest complete one counts."""
    grouped: defaultdict[object, dict[int, Stored]] = defaultdict(dict)
    order = sorted(some, key=lambda s: (s.result.status == "complete", s.result.created))
    for stored in order:
        result = stored.result
        judged = [_plugin("judge", judge) for judge in result.judges]
        facts = [_conditions(result), _method(result), *judged]
        key = (result.protocol.name, result.suite, result.dataset.name)
        grouped[(key, *(tuple(sorted(f.items())) for f in facts))][result.setup.seed] = stored
    return [Series(dict(sorted(runs.items()))) for runs in grouped.values()]


# ------------------------------------------------------------------------------------ what differs
def obstacles(before: Result, after: Result) -> list[str]:
    """Why none of their numbers can be compared, one reason each; empty where they can."""
    first, second = _conditions(before), _conditions(after)
    optional = ("alignment", "recovery")  # of one method and not of the other
    shared = {k for k in (*first, *second) if (k in first and k in second)}
    keys = [k for k in {**first, **second} if k in shared or not k.startswith(optional)]
    filled = [_filled(result) for result in (before, after)]
    stamps = [f"{STAMP} weights ({', '.join(names)})" for names in filled if names]
    return stamps + _differing(first, second, keys)


def judge_obstacles(before: Result, after: Result, judge: str) -> list[str]:
    """Why what one judge says cannot be compared; nothing for an empty name."""
    refs = [next((j for j in r.judges if j.name == judge), None) for r in (before, after)]
    if refs[0] is None or refs[1] is None:
        return []
    first, second = (_plugin("judge", ref) for ref in refs if ref)
    return _differing(first, second, {**first, **second})


def changes(before: Result, after: Result) -> list[str]:
    """What is being compared: how the methods differ, one fact each."""
    first, second = _method(before), _method(after)
    return _differing(first, second, {**first, **second})


def is_filled(result: Result) -> bool:
    """Whether weights that were drawn for a test took part."""
    return bool(_filled(result))


def _filled(result: Result) -> list[str]:
    plugins = (result.method, result.setup.detector, *result.judges)
    return sorted(
        {name for p in plugins for name, digest in p.weights.items() if digest.startswith(STAMP)}
    )


def _conditions(result: Result) -> dict[str, str]:
    """All that decides numbers besides method, judge and seed."""
    setup = result.setup
    return {
        **_plugin("protocol", result.protocol),
        "dataset version": str(result.dataset.version),
        "dataset hash": result.dataset.manifest,
        "channel": setup.channel,
        "presentation": setup.presentation,
        "limit": str(setup.limit),
        "precision": setup.precision,
        "compiled": str(setup.compiled),
        **({"recovery": setup.recovery} if setup.recovery else {}),
        "detector": setup.detector.name,
        **_plugin("detector", setup.detector),
        **{f"alignment {name}": str(version) for name, version in setup.templates.items()},
    }


def _method(result: Result) -> dict[str, str]:
    return {"method": result.method.name, **_plugin("method", result.method)}


def _plugin(kind: str, plugin: PluginRef) -> dict[str, str]:
    return {
        f"{kind} version": str(plugin.version),
        **{f"{kind} setting {key}": str(value) for key, value in plugin.config.items()},
        **{f"{kind} hash of {name}": digest for name, digest in plugin.weights.items()},
    }


def _differing(first: Facts, second: Facts, keys: Iterable[str]) -> list[str]:
    return [
        f"{key}: {_short(first, key)} → {_short(second, key)}"
        for key in keys
        if first.get(key) != second.get(key)
    ]


def _short(facts: Facts, key: str) -> str:
    value = facts.get(key, "none")
    return value[:_SHOWN] if len(value) == _HASH else value


def names(series: Sequence[Series]) -> list[tuple[str, str]]:
    """Name and judge of every metric with a direction, in order."""
    metrics = (m for some in series for m in some.first.metrics if m.direction != "none")
    return list(dict.fromkeys((m.name, m.judge) for m in metrics))
