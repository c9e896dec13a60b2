"""Numbers on their way into a table: measured or published, each with what it depends on.

Two numbers share a column only when protocol, data, conditions and judge are the same; they
share a row only when method, configuration, weights and seed are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from anonbench import registry
from anonbench.cards import MetricSpec
from anonbench.report.model import Direction, Name
from anonbench.results.published import PublishedValue
from anonbench.results.record import Counts, Environment, JudgeRef, Metric, PluginRef, Result
from anonbench.weights.filled import STAMP

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entry:
    """One cell to be.

    Attributes:
        method: Registered name of the method.
        row: Label of the method, with all that tells it from its variants.
        group: Label of the conditions.
        judge: Label of the judge, with all that decides what it measures.
        judge_name: Registered name of the judge.
        metric: Name of the metric.
        direction: Which way is better.
        value: The number, or None.
        std: What is printed behind the ±.
        instead: Printed where there is no number.
        notes: Footnotes of this cell.
        white_box: Whether the method was optimised against the judge.
        ranked: Whether the number takes part in the ranking of its column.
        published: Whether a paper printed it, rather than this suite having measured it.
        interval: Ends of its confidence interval, the first that its protocol reports.
        against: The published value to which its difference is shown.
        result: Id of the result that has it; empty for a published number.
    """

    method: str
    row: Name
    group: Name
    judge: Name
    judge_name: str
    metric: str
    direction: Direction
    value: float | None
    std: float | None = None
    instead: str = ""
    notes: tuple[str, ...] = ()
    white_box: bool = False
    ranked: bool = True
    published: bool = False
    interval: tuple[float, float] | None = None
    against: float | None = None
    result: str = ""


# -------------------------------------------------------------------------------------- measured
def measured(result: Result, metrics: Sequence[str]) -> Iterator[Entry]:
    """The entries of a result; those of a failed one say so instead of giving numbers."""
    if result.status == "failed":
        yield from _failed(result, metrics)
        return
    judges = {judge.name: judge for judge in result.judges}
    for metric in result.metrics:
        if metric.name in metrics:
            yield _measured(result, metric, judges.get(metric.judge))


def _measured(result: Result, metric: Metric, judge: JudgeRef | None) -> Entry:
    notes = [metric.reason] if metric.reason else []
    filled = _is_filled(result, judge)
    if filled:
        notes.append("weights: test fill; no measurement")
    if result.status == "partial":
        notes.append(_partial(result.counts.get(metric.judge)))
    if result.method.needs_latent and result.dataset.files:
        notes.append("recovers from a stored latent, not from the published image alone")
    return Entry(
        method=result.method.name,
        row=method_name(result),
        group=conditions(result),
        judge=_judge_name(result, judge),
        judge_name=metric.judge,
        metric=metric.name,
        direction=metric.direction,
        value=None if filled else metric.value,
        std=None if filled else metric.std,
        instead="n/a" if filled or metric.value is None else "",
        notes=tuple(notes),
        white_box=metric.white_box,
        ranked=result.status == "complete",
        interval=None if filled else _interval(metric),
        result=result.id,
    )


def _interval(metric: Metric) -> tuple[float, float] | None:
    return next(((i.low, i.high) for i in metric.intervals), None)


def _is_filled(result: Result, judge: JudgeRef | None) -> bool:
    """Whether weights behind a number were drawn by rule and not trained."""
    plugins = [result.method, result.setup.detector, *([judge] if judge else [])]
    return any(w.startswith(STAMP) for plugin in plugins for w in plugin.weights.values())


def specs(protocol: str) -> tuple[MetricSpec, ...]:
    """What the metrics of a protocol are; nothing where it is not installed."""
    card = registry.protocols.installed(protocol)
    return card.metrics if card else ()


def _failed(result: Result, metrics: Sequence[str]) -> Iterator[Entry]:
    unjudged = {spec.name for spec in specs(result.protocol.name) if not spec.judged}
    for name in metrics:
        for judge in (None,) if name in unjudged else result.judges or (None,):
            yield Entry(
                method=result.method.name,
                row=method_name(result),
                group=conditions(result),
                judge=_judge_name(result, judge),
                judge_name=judge.name if judge else "",
                metric=name,
                direction="none",
                value=None,
                instead="failed",
                notes=(f"failed: {result.error or 'no reason given'}",),
                result=result.id,
            )


def _partial(counts: Counts | None) -> str:
    used = f", {counts.used} of {counts.expected} {counts.unit} used" if counts else ""
    return f"partial result{used}; not ranked"


def method_name(result: Result) -> Name:
    """The row of a result."""
    return Name(result.method.title, (*_facts(result.method), ("seed", str(result.setup.seed))))


def conditions(result: Result) -> Name:
    """The column group of a result: all that must be equal for numbers to be comparable."""
    facts = (*protocol(result), *circumstances(result), *data(result).facts)
    return Name(f"measured on {data(result).title}", tuple(dict.fromkeys(facts)))


def protocol(result: Result) -> Facts:
    """What was measured: protocol, version and settings."""
    name = f"{result.protocol.name} v{result.protocol.version}"
    return (("protocol", name), *((k, str(v)) for k, v in result.protocol.config.items()))


def circumstances(result: Result) -> Facts:
    """Whatever decides numbers and belongs neither to the protocol nor to the data."""
    pictures = (
        ("channel", result.setup.channel),
        ("presentation", result.setup.presentation),
        ("detector", _full(result.setup.detector)),
    )
    return (
        ("suite", result.suite),
        *(pictures if result.dataset.files else ()),
        ("precision", result.environment.precision),
        *((("compiled", "yes"),) if result.setup.compiled else ()),
    )


def data(result: Result) -> Name:
    """The data of a result, with all that tells them from others under the same title.

    Where there are none, the machine: networks alone are measured on nothing else.
    """
    if not result.dataset.files:
        return _machine(result.environment)
    limit = result.setup.limit
    return Name(
        result.dataset.title,
        (
            ("manifest", result.dataset.manifest[:8]),
            *_facts(result.dataset)[1:],
            *([("limit", str(limit))] if limit is not None else []),
        ),
    )


def _machine(environment: Environment) -> Name:
    threads = f"{environment.threads} thread{'s' if environment.threads > 1 else ''}"
    title = environment.gpu or f"{environment.cpu}, {threads}"
    return Name(title, (("torch", environment.packages.get("torch", "?")),))


def slots(result: Result) -> Iterator[tuple[Name, Name, Name]]:
    """The places that a result fills: its row, its conditions, and each of its judges."""
    for judge in result.judges or (None,):
        yield method_name(result), conditions(result), _judge_name(result, judge)


def _judge_name(result: Result, judge: JudgeRef | None) -> Name:
    if judge is None:
        return Name("")
    alignment = (judge.template, f"v{result.setup.templates.get(judge.template, '?')}")
    return Name(judge.title, (*_facts(judge), alignment))


def _facts(plugin: PluginRef) -> Facts:
    config = tuple((key, str(value)) for key, value in plugin.config.items())
    # A package's version is shorter than a hash and told by its characters.
    weights = tuple(
        (name, value[:8] if len(value) == 64 else value) for name, value in plugin.weights.items()
    )
    return (("version", str(plugin.version)), *config, *weights)


def _full(plugin: PluginRef) -> str:
    version, *others = _facts(plugin)
    return " ".join([plugin.name, f"v{version[1]}", *(f"{k}={v}" for k, v in others)])


# ------------------------------------------------------------------------------------- published
def published(values: Iterable[PublishedValue], beside: Iterable[Entry]) -> Iterator[Entry]:
    """The entries of published values, in the row of the measured method where there is one."""
    rows: dict[str, set[Name]] = {}
    for entry in beside:
        rows.setdefault(entry.method, set()).add(entry.row)
    for value in values:
        same = rows.get(value.method, set())
        apart = value.variant or ("published" if same else "")
        own = Name(f"{value.method_title} ({apart})" if apart else value.method_title)
        yield Entry(
            method=value.method,
            row=next(iter(same)) if len(same) == 1 and not value.variant else own,
            group=Name(f"published: {value.paper}, Table {value.number}"),
            judge=Name(value.column),
            judge_name=value.judge,
            metric=value.metric,
            direction=value.direction,
            value=value.value,
            std=value.std,
            notes=(value.note,) if value.note else (),
            white_box=value.white_box,
            published=True,
        )
