"""Metrics as points of a figure: which one is meant, what it is called, how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anonbench.errors import BadConfig
from anonbench.report import entries
from anonbench.report.figures.source import Item, Source, labelled
from anonbench.report.model import ARROWS
from anonbench.results.record import Metric

ERRORS = "Error bars: 95 % intervals where the results have them, else ± one standard deviation."


@dataclass(frozen=True)
class Measured:
    """A metric of one result.

    Attributes:
        item: Whose it is.
        metric: It.
    """

    item: Item
    metric: Metric

    @property
    def value(self) -> float:
        """The number."""
        assert self.metric.value is not None
        return self.metric.value

    @property
    def errors(self) -> tuple[float, float]:
        """How far it may be lower and higher, both at least 0."""
        if self.metric.intervals:
            interval = self.metric.intervals[0]
            return max(0.0, self.value - interval.low), max(0.0, interval.high - self.value)
        return self.metric.std or 0.0, self.metric.std or 0.0

    @property
    def axis(self) -> str:
        """Title, unit, judge and direction of the metric."""
        protocol = self.item.result.protocol.name
        titles = {spec.name: spec.title for spec in entries.specs(protocol)}
        title = titles.get(self.metric.name, self.metric.name)
        unit = f" ({self.metric.unit})" if self.metric.unit else ""
        judge = f", {self.item.judge.title}" if self.item.judge else ""
        arrow = ARROWS[self.metric.direction]
        return f"{title}{unit}{judge}\N{NO-BREAK SPACE}{arrow}".strip()


def measured(
    source: Source,
    protocol: str,
    names: Sequence[str] = (),
    judge: str = "",
    apart: Sequence[str] = (),
) -> list[Measured]:
    """All values of the metrics of a protocol.

    Args:
        source: The results.
        protocol: Its name.
        names: Of metrics; all without them.
        judge: Its name; all without.
        apart: Conditions that are drawn apart in each panel.

    Raises:
        BadData: No result of the protocol.
        BadConfig: None has such a value.
    """
    results = source.measured(protocol)
    judges = {(r.id, j.name): j for r in results for j in r.judges}
    wanted = (judge,) if judge else source.choice.judges
    there = [
        (Item(result, judges.get((result.id, metric.judge))), metric)
        for result in results
        for metric in result.metrics
        if metric.value is not None
    ]
    kept = [
        (item, metric)
        for item, metric in there
        if (not names or metric.name in names) and (not wanted or metric.judge in ("", *wanted))
    ]
    if not kept:
        known = dict.fromkeys(f"{protocol}/{m.name}/{m.judge}".rstrip("/") for _, m in there)
        raise BadConfig(
            f"No result of {protocol} in {source.folder} has a value of "
            f"'{'/'.join((*names, judge)).rstrip('/')}'.",
            why=f"There are: {', '.join(known) or 'none'}.",
        )
    return _labelled(kept, apart)


def chosen(
    source: Source, spec: str, apart: Sequence[str] = ()
) -> tuple[list[Measured], list[str]]:
    """The values of one metric by one judge, and a sentence on other judges.

    Args:
        source: The results.
        spec: `PROTOCOL/METRIC[/JUDGE]`.
        apart: Conditions that are drawn apart in each panel.

    Raises:
        BadConfig: It has another form, or no result has it.
        BadData: No result of the protocol.
    """
    protocol, _, rest = spec.partition("/")
    name, _, judge = rest.partition("/")
    if not protocol or not name:
        raise BadConfig(
            f"'{spec}' does not name a metric.",
            why="A metric is PROTOCOL/METRIC or PROTOCOL/METRIC/JUDGE.",
            mend="Write for example lfw-tar/tar/dlib-resnet",
        )
    found = measured(source, protocol, (name,), judge, apart)
    first, *others = dict.fromkeys(one.metric.judge for one in found)
    told = [f"Also stored: {protocol}/{name} by {', '.join(others)}."] if others else []
    return [one for one in found if one.metric.judge == first], told


def _labelled(kept: Sequence[tuple[Item, Metric]], apart: Sequence[str]) -> list[Measured]:
    """In the order of labels; what an older result repeats is left out."""
    sources = {(item.result.id, metric.judge): item for item, metric in kept}
    return [
        Measured(item, metric)
        for item in labelled(list(sources.values()), apart)
        for other, metric in kept
        if (other.result.id, other.judge) == (item.result.id, item.judge)
    ]
