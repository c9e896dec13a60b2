"""Two sets of results, cell by cell: better, worse, the same, or not comparable and why.

A cell is a metric of a judge on what a method published under a protocol, of all seeds together.
What decides it is, in this order:

- a paired bootstrap over identities, where both sides still have their scores and drew the same
  people: the protocol reduces both again, and its own replicates are subtracted one by one. Over
  all cells the p-values are adjusted after Holm;
- otherwise the intervals in the files: they overlap, or they do not;
- otherwise the values: they are equal, or they are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from anonbench import registry
from anonbench.errors import UserError
from anonbench.results import matching
from anonbench.results.matching import Series, Stored
from anonbench.results.record import Interval, Metric, Resampled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anonbench.metrics.significance import Difference
    from anonbench.values import Scores

Verdict = Literal["better", "worse", "same", "not comparable"]
By = Literal["", "identical scores", "paired bootstrap", "intervals", "values", "tolerance"]

ALPHA = 0.05
_MOST_LOST = 0.5
"""Share of the draws that may be without a value."""
_ROUNDING = 1e-9
"""Relative; what the order of a sum changes is no difference."""


@dataclass(frozen=True)
class Cell:
    """One number on both sides.

    Attributes:
        method: Name of the method, of both where they differ.
        seeds: The seeds of the first side, or of the only one.
        before: Mean over seeds on the first side, None where it has no value.
        after: The same of the second side.
        verdict: What became of it.
        by: What decided.
        reason: Why it is not comparable.
        changes: How the methods differ.
        notes: What else a reader must know.
        absent: The side that does not have the cell.
        filled: Whether weights that were drawn for a test took part.
        low: Lower end of the 95 % interval of the difference, of a paired bootstrap.
        high: Upper end.
        p: Its p-value.
        p_holm: That p-value, adjusted for all cells that have one.
    """

    protocol: str
    suite: str
    dataset: str
    method: str
    judge: str
    metric: str
    direction: Literal["lower", "higher", "none"]
    unit: str
    seeds: tuple[int, ...]
    before: float | None = None
    after: float | None = None
    verdict: Verdict = "not comparable"
    by: By = ""
    reason: str = ""
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    absent: Literal["", "first", "second"] = ""
    filled: bool = False
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None

    @property
    def loss(self) -> float:
        """How far the value moved in the bad direction; negative where it got better."""
        moved = (self.after or 0.0) - (self.before or 0.0)
        return moved if self.direction == "lower" else -moved


@dataclass(frozen=True)
class Options:
    """How cells are decided.

    Attributes:
        alpha: Probability of calling any of the cells different by chance.
        replicates: Of the bootstrap; as the protocols say where None.
        across_methods: Whether two methods are compared where either side has only one.
        sides: What reasons call the two sides.
        report: Told what is being resampled, which takes seconds.
    """

    alpha: float = ALPHA
    replicates: int | None = None
    across_methods: bool = True
    sides: tuple[str, str] = ("A", "B")
    report: Callable[[str], None] = lambda line: None


def compare(
    before: Iterable[Stored], after: Iterable[Stored], options: Options | None = None
) -> list[Cell]:
    """Every metric with a direction and a value on some side, decided.

    Args:
        before: Results, as `matching.read` gives them.
        after: Those that may be better or worse.
        options: How cells are decided.
    """
    from anonbench.metrics.significance import holm

    options = options or Options()
    cells: list[Cell] = []
    for first, second in matching.pair(before, after, across_methods=options.across_methods):
        cells += _cells(first, second, options)
    tested = [i for i, cell in enumerate(cells) if cell.p is not None]
    adjusted = holm([cells[i].p or 0.0 for i in tested])
    for i, p in zip(tested, adjusted, strict=True):
        verdict = _direction(cells[i]) if p < options.alpha else "same"
        cells[i] = replace(cells[i], p_holm=p, verdict=verdict)
    return cells


def _cells(first: Series | None, second: Series | None, options: Options) -> Iterator[Cell]:
    if first is None or second is None:
        only = first or second
        absent: Literal["first", "second"] = "first" if first is None else "second"
        if only is not None:
            yield from _alone(only, absent, options.sides)
        return
    blocked = matching.obstacles(first.first, second.first)
    if first.seeds != second.seeds:
        blocked.append(f"seed set: {_listed(first.seeds)} → {_listed(second.seeds)}")
    evidence = _Evidence(first, second, options)
    for name, judge in matching.names((first, second)):
        cell = _started(first, second, name, judge)
        if cell.before is None and cell.after is None:
            continue
        lacking = _lacking(first, second, cell, options.sides)
        reasons = [*lacking, *blocked]
        reasons += matching.judge_obstacles(first.first, second.first, judge)
        if reasons:
            yield replace(cell, reason="; ".join(reasons))
        else:
            yield evidence.decide(cell)


def _alone(
    series: Series, absent: Literal["first", "second"], titles: tuple[str, str]
) -> Iterator[Cell]:
    for name, judge in matching.names([series]):
        value = _mean(series.metric(name, judge))
        if value is not None:
            sides = (None, value) if absent == "first" else (value, None)
            yield replace(
                _blank(series, series.metric(name, judge)[0]),
                before=sides[0],
                after=sides[1],
                absent=absent,
                reason=f"missing in {titles[absent == 'second']}",
                filled=matching.is_filled(series.first),
            )


def _started(first: Series, second: Series, name: str, judge: str) -> Cell:
    one, other = first.metric(name, judge), second.metric(name, judge)
    absent: Literal["", "first", "second"] = "" if one and other else "second" if one else "first"
    cell = _blank(first, (one or other)[0])
    methods = dict.fromkeys(series.first.method.name for series in (first, second))
    return replace(
        cell,
        method=" → ".join(methods),
        before=_mean(one),
        after=_mean(other),
        absent=absent,
        changes=tuple(matching.changes(first.first, second.first)),
        notes=tuple(_losses(first, second, judge)),
        filled=any(matching.is_filled(series.first) for series in (first, second)),
    )


def _blank(series: Series, metric: Metric) -> Cell:
    result = series.first
    return Cell(
        protocol=result.protocol.name,
        suite=result.suite,
        dataset=result.dataset.name,
        method=result.method.name,
        judge=metric.judge,
        metric=metric.name,
        direction=metric.direction,
        unit=metric.unit,
        seeds=series.seeds,
    )


def _mean(metrics: Sequence[Metric]) -> float | None:
    values = [m.value for m in metrics if m.value is not None]
    return sum(values) / len(values) if values and len(values) == len(metrics) else None


def _lacking(first: Series, second: Series, cell: Cell, titles: tuple[str, str]) -> Iterator[str]:
    """Which side has no value, and why."""
    for side, series, value in zip(titles, (first, second), (cell.before, cell.after), strict=True):
        metrics = series.metric(cell.metric, cell.judge)
        if not metrics:
            yield f"missing in {side}"
        elif value is None:
            reasons = dict.fromkeys(m.reason for m in metrics if m.reason)
            yield f"n/a in {side} ({'; '.join(reasons)})"


def _losses(first: Series, second: Series, judge: str) -> Iterator[str]:
    """How many samples failed, where that is not the same on both sides."""
    lost = []
    for series in (first, second):
        counts = [stored.result.counts.get(judge) for stored in series.runs.values()]
        lost.append(sum(c.expected - c.used for c in counts if c))
    if lost[0] != lost[1]:
        yield f"samples that failed: {lost[0]} → {lost[1]}"


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _direction(cell: Cell) -> Verdict:
    return "worse" if cell.loss > 0 else "better" if cell.loss < 0 else "same"


# -------------------------------------------------------------------------------- what is decisive
class _Evidence:
    """What two comparable series have to decide their cells by, computed once per judge."""

    def __init__(self, first: Series, second: Series, options: Options) -> None:
        self._sides = (first, second)
        self._options = options
        self._scores = [{seed: run.scores() for seed, run in s.runs.items()} for s in self._sides]
        self._reduced: dict[str, list[dict[int, dict[str, Metric]]]] = {}

    def decide(self, cell: Cell) -> Cell:
        equal = _close(cell.before, cell.after)
        if equal and self._identical(cell.judge):
            return replace(cell, verdict="same", by="identical scores", p=1.0)
        difference = self._difference(cell)
        if difference is not None:
            return replace(
                cell,
                by="paired bootstrap",
                p=difference.p,
                low=difference.low,
                high=difference.high,
            )
        one, other = (self._interval(series, cell) for series in self._sides)
        if not equal and one and other:
            overlap = max(one[0], other[0]) <= min(one[1], other[1])
            return replace(cell, verdict="same" if overlap else _direction(cell), by="intervals")
        return replace(cell, verdict="same" if equal else _direction(cell), by="values")

    def _identical(self, judge: str) -> bool:
        """Whether both sides have the same scores of a judge, bit by bit."""
        import numpy as np

        first, second = self._scores
        for seed in first:
            one, other = first[seed].get(judge, {}), second[seed].get(judge, {})
            if not one or one.keys() != other.keys():
                return False
            for name, array in one.items():
                floating = np.issubdtype(array.dtype, np.floating)
                if not np.array_equal(array, other[name], equal_nan=bool(floating)):
                    return False
        return True

    def _interval(self, series: Series, cell: Cell) -> tuple[float, float] | None:
        """The first interval in the files, its ends averaged over the seeds."""
        metrics = series.metric(cell.metric, cell.judge)
        found: list[Interval] = [m.intervals[0] for m in metrics if m.intervals]
        if len(found) < len(series.seeds):
            return None
        return sum(i.low for i in found) / len(found), sum(i.high for i in found) / len(found)

    def _difference(self, cell: Cell) -> Difference | None:
        """The paired bootstrap of a cell; None where its replicates do not belong together."""
        import numpy as np

        from anonbench.metrics.significance import paired_difference

        first, second = self._resampled(cell)
        people = min((r.people for r in (*first, *second)), default=0)
        schemes = {r.drawn for r in (*first, *second)}
        seeds = len(cell.seeds)
        if not (len(first) == len(second) == seeds and len(schemes) == 1 and people > 1):
            return None
        moved = _mean_of(second) - _mean_of(first)
        if np.isnan(moved).mean() > _MOST_LOST:
            return None
        return paired_difference((cell.after or 0.0) - (cell.before or 0.0), moved, people)

    def _resampled(self, cell: Cell) -> list[list[Resampled]]:
        """Per side an interval with replicates for every seed that has one."""
        if cell.judge not in self._reduced:
            self._reduced[cell.judge] = self._reduce(cell)
        found: list[list[Resampled]] = []
        for side, series in zip(self._reduced[cell.judge], self._sides, strict=True):
            stored = zip(series.seeds, series.metric(cell.metric, cell.judge), strict=True)
            again = ((side[seed].get(cell.metric), metric.value) for seed, metric in stored)
            replicates = (_replicates(metric, value) for metric, value in again)
            found.append([one for one in replicates if one is not None])
        return found

    def _reduce(self, cell: Cell) -> list[dict[int, dict[str, Metric]]]:
        """Per side and seed the metrics of a judge, reduced again from its scores."""
        by = f" by {cell.judge}" if cell.judge else ""
        self._options.report(f"Resampling {cell.method}, {cell.protocol}{by} ...")
        reduced = []
        for series, scores in zip(self._sides, self._scores, strict=True):
            found = {}
            for seed in series.seeds:
                found[seed] = self._metrics(series.runs[seed], scores[seed].get(cell.judge, {}))
            reduced.append(found)
        return reduced

    def _metrics(self, run: Stored, scores: Scores) -> dict[str, Metric]:
        """Metrics by name; none where the installed protocol is another, or there are no scores."""
        ref = run.result.protocol
        if not scores or ref.name not in registry.protocols.names():
            return {}
        card = registry.protocols.card(ref.name)
        if card.version != ref.version:
            return {}
        config = dict(ref.config)
        if self._options.replicates and "bootstrap" in config:
            config["bootstrap"] = self._options.replicates
        try:
            protocol = registry.protocols.load(ref.name)(card.configured(config))
            return {metric.name: metric for metric in protocol.reduce(scores).metrics}
        except UserError as error:
            self._options.report(f"{ref.name} cannot be reduced again: {error}")
            return {}


def _replicates(metric: Metric | None, value: float | None) -> Resampled | None:
    """What a metric was reduced to again; None where its value is not the stored one."""
    if metric is None or not _close(metric.value, value) or not metric.intervals:
        return None
    interval = metric.intervals[0]
    return interval if isinstance(interval, Resampled) else None


def _mean_of(intervals: Sequence[Resampled]) -> NDArray[np.float64]:
    import numpy as np

    table = np.array([i.replicates for i in intervals], dtype=np.float64)  # None becomes NaN
    means: NDArray[np.float64] = table.mean(axis=0)
    return means


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=1e-15)
