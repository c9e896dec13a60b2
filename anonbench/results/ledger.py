"""The ledger: for every number of the papers, whether it was measured here, and if not, why.

A number is *measured* only by a result that differs in nothing that decides it: protocol,
version, settings, suite, data, method, judge, channel. Anything less is told beside it and never
called a reproduction. What a number *needs* follows from the cards of its method, judge and data;
whether it is *ill-defined* is said in `results/published`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, get_args

from anonbench import registry, weights
from anonbench.cards import Card, ConfigValue, DatasetCard, JudgeCard, MethodCard, ProtocolCard
from anonbench.data import locate
from anonbench.errors import MissingArtefact
from anonbench.results.published import Doubt, PublishedValue
from anonbench.results.record import JudgeRef, Metric, PluginRef, Result
from anonbench.weights.filled import STAMP

C = TypeVar("C", bound=Card)
Status = Literal["measured", "runnable", "needs", "ill-defined"]
STATUSES: tuple[Status, ...] = get_args(Status)

SUITE, DETECTOR = "paper", "dlib-hog"
_CHANNELS = ("png", "float")  # neither loses anything that a paper's 8-bit images would have had
_EFFORT = ("bootstrap", "bootstrap_seed", "warmups", "repeats")  # no value depends on these


class Need(NamedTuple):
    """Something without which a number cannot be measured here.

    Attributes:
        kind: What it is.
        name: Its name in the catalogue or the registry; of a file, its path.
        by_hand: Whether a person must bring it; otherwise somebody must write it first.
        how: What to do.
    """

    kind: Literal["weights", "dataset", "method", "protocol", "judge"]
    name: str
    by_hand: bool
    how: str


@dataclass(frozen=True)
class Ours:
    """A measured value of the same metric, protocol and method.

    Attributes:
        result: Id of the result; its file's name ends with the first eight characters.
        value: In the unit of the paper.
        judge: Which judge measured.
        dataset: On which data.
        channel: Through which publication channel; empty where there are no images.
        seed: The run's.
        differs: In what it differs from what the paper's number is; empty: comparable.
        other_data: Whether the data are among that.
        delta: `value` minus the paper's; None unless comparable.
    """

    result: str
    value: float
    judge: str
    dataset: str
    channel: str
    seed: int
    differs: tuple[str, ...] = ()
    other_data: bool = False
    delta: float | None = None


@dataclass(frozen=True)
class Line:
    """One number of a paper and where it stands.

    Attributes:
        printed: The number.
        needs: What is missing here; of an ill-defined number, for its nearest reading.
        command: What measures it once nothing is missing; empty where a plug-in is.
        ours: The newest comparable value.
        others: Values that are not comparable, newest first.
    """

    printed: PublishedValue
    needs: tuple[Need, ...]
    command: str
    ours: Ours | None
    others: tuple[Ours, ...]

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """Why the number is ill-defined."""
        return tuple(doubt for doubt in _doubts(self.printed) if doubt.concerns == "value")

    @property
    def spread_doubts(self) -> tuple[Doubt, ...]:
        """Why what stands behind its ± is."""
        return tuple(doubt for doubt in _doubts(self.printed) if doubt.concerns == "std")

    @property
    def status(self) -> Status:
        """The first that holds: ill-defined, measured, needs, runnable."""
        if self.doubts:
            return "ill-defined"
        if self.ours:
            return "measured"
        return "needs" if self.needs else "runnable"


class Machine:
    """What is on this machine.

    Args:
        data_root: The user's folder with datasets.
    """

    def __init__(self, data_root: Path | None = None) -> None:
        self._data_root = data_root
        self.has_artefact = cache(weights.is_present)

    def has_file(self, path: str) -> bool:
        """Whether a file of the user's is there."""
        return Path(path).expanduser().exists()

    def has_data(self, card: DatasetCard) -> bool:
        """Whether a dataset that only the user can bring is in the user's folder."""
        try:
            locate(card, self._data_root)
        except MissingArtefact:
            return False
        return True


class BareMachine(Machine):
    """A machine on which nothing is yet: what anybody starts from."""

    def __init__(self) -> None:
        super().__init__()
        self.has_artefact = cache(lambda name: False)

    def has_file(self, path: str) -> bool:
        """No file is there."""
        return False

    def has_data(self, card: DatasetCard) -> bool:
        """No data but what is no files at all."""
        return not card.layout


def ledger(
    values: Iterable[PublishedValue], results: Iterable[Result], machine: Machine
) -> list[Line]:
    """A line for every printed number, in their order.

    Args:
        values: The papers' numbers.
        results: What was measured; of any protocols and suites.
        machine: What is here already.
    """
    newest = sorted(results, key=lambda result: result.created, reverse=True)
    return [_line(value, newest, machine) for value in values]


def counts(lines: Iterable[Line]) -> dict[Status, int]:
    """How many numbers there are of each status."""
    found = Counter(line.status for line in lines)
    return {status: found[status] for status in STATUSES}


def missing(lines: Iterable[Line]) -> dict[Need, int]:
    """What is missing, and how many numbers of the status `needs` wait for it; most first."""
    waiting = Counter(need for line in lines if line.status == "needs" for need in line.needs)
    return dict(waiting.most_common())


def _doubts(value: PublishedValue) -> tuple[Doubt, ...]:
    return (*value.disputed, *value.unclear)


def _line(value: PublishedValue, newest: Iterable[Result], machine: Machine) -> Line:
    wanted = _Wanted.of(value)
    found = [ours for result in newest for ours in _measured(value, wanted, result)]
    return Line(
        printed=value,
        needs=tuple(dict.fromkeys(_needs(value, wanted, machine))),
        command=_command(value, wanted),
        ours=next((ours for ours in found if not ours.differs), None),
        others=tuple(ours for ours in found if ours.differs),
    )


# ---------------------------------------------------------------------------------- what it takes
@dataclass(frozen=True)
class _Wanted:
    """The plug-ins behind a printed number; None for one that is not installed, or not named.

    `judges` are those that a run takes: for a number that needs none, one of its suite's.
    """

    protocol: ProtocolCard | None
    method: MethodCard | None
    judge: JudgeCard | None
    judges: tuple[JudgeCard, ...]
    dataset: DatasetCard | None

    @classmethod
    def of(cls, value: PublishedValue) -> _Wanted:
        protocol = _card(registry.protocols, value.protocol)
        dataset = value.dataset or (protocol.suites[SUITE].dataset if protocol else "")
        names = (value.judge,) if value.judge else _suite_judges(value.metric, protocol)
        return cls(
            protocol=protocol,
            method=_card(registry.methods, _spec(value)),
            judge=_card(registry.judges, value.judge),
            judges=tuple(card for n in names if (card := _card(registry.judges, n))),
            dataset=_card(registry.datasets, dataset),
        )


def _suite_judges(metric: str, protocol: ProtocolCard | None) -> tuple[str, ...]:
    """Of a suite the judges with which a metric is measured that names none.

    All of them, or for a metric without a judge one that runs without files brought by hand.
    """
    suite = protocol.suites[SUITE].judges if protocol else ()
    if not protocol or any(spec.judged for spec in protocol.metrics if spec.name == metric):
        return suite
    fetched = [name for name in suite if not _by_hand(registry.judges.card(name).weights)]
    return tuple((fetched or suite)[:1])


def _by_hand(names: Iterable[str]) -> list[str]:
    return [name for name in names if weights.catalogue()[name].page]


def _card(known: registry.Registry[C], spec: str) -> C | None:
    return known.parse(spec, SUITE) if spec.split(":")[0] in known.names() else None


def _spec(value: PublishedValue) -> str:
    return f"{value.method}:{value.settings}" if value.settings else value.method


def _needs(value: PublishedValue, wanted: _Wanted, machine: Machine) -> Iterator[Need]:
    """What is neither here nor fetched by a run."""
    if not wanted.method:
        how = "No such method is installed; a plug-in of that name would measure it."
        yield Need("method", value.method, False, how)
    if not wanted.protocol:
        yield Need("protocol", value.protocol, False, "No such protocol is installed.")
    if value.judge and not wanted.judge:
        yield Need("judge", value.judge, False, "No such judge is installed.")
    names = list(_artefacts(wanted))
    if wanted.method and not (wanted.protocol and wanted.protocol.weightless):
        yield from _files(value, wanted.method, machine)
        names += wanted.method.weights
    for name in _by_hand(names):
        if not machine.has_artefact(name):
            how = " ".join(weights.catalogue()[name].how_to_get.split())
            yield Need("weights", name, True, how)
    if wanted.dataset and not wanted.dataset.artefact and not machine.has_data(wanted.dataset):
        how = f"Give its folder with --data-root DIR; in it: {wanted.dataset.layout}."
        yield Need("dataset", wanted.dataset.name, True, how)


def _artefacts(wanted: _Wanted) -> Iterator[str]:
    """Of the judges, of the detector where there are images, and the data."""
    for judge in wanted.judges:
        yield from judge.weights
    if wanted.dataset and wanted.dataset.layout:
        yield from registry.judges.card(DETECTOR).weights
        yield from filter(None, [wanted.dataset.artefact])


def _files(value: PublishedValue, method: MethodCard, machine: Machine) -> Iterator[Need]:
    """Weights of the user's own that a row of the paper takes."""
    for key in method.file_config:
        path = str(method.config[key])
        if path and not machine.has_file(path):
            trained = f"as the row {value.variant}" if value.variant else ""
            how = f"Train it {trained} and give its path: {value.method}:{key}=PATH"
            if value.method in registry.trainings.names():
                how += f" (anonbench train {value.method}; README of the method)"
            yield Need("weights", path, True, f"{how}.")


def _command(value: PublishedValue, wanted: _Wanted) -> str:
    """What measures a number; empty where that is not possible, whatever is brought."""
    if not (wanted.protocol and wanted.method and wanted.dataset):
        return ""
    judges = tuple(judge.name for judge in wanted.judges)
    usual = wanted.protocol.suites[SUITE]
    parts = [
        f"anonbench run --method {_spec(value)} --protocol {value.protocol} --suite {SUITE}",
        *([f"--judge {','.join(judges)}"] if judges != usual.judges else []),
        *([f"--channel {value.channel}"] if value.channel not in ("", _CHANNELS[0]) else []),
        *(["--data-root DIR"] if wanted.dataset.layout and not wanted.dataset.artefact else []),
    ]
    if wanted.dataset.name != usual.dataset:
        parts.append(f"--dataset {wanted.dataset.name}")
    return " ".join(parts)


# ------------------------------------------------------------------------------- what was measured
def _measured(value: PublishedValue, wanted: _Wanted, result: Result) -> Iterator[Ours]:
    """The values of the same metric in a result of the same protocol and method."""
    if (result.protocol.name, result.method.name) != (value.protocol, value.method):
        return
    same = [m for m in result.metrics if m.name == value.metric and m.value is not None]
    exact = [metric for metric in same if metric.judge == value.judge]
    for metric in exact or same:
        yield _ours(value, wanted, result, metric)


def _ours(value: PublishedValue, wanted: _Wanted, result: Result, metric: Metric) -> Ours:
    assert metric.value is not None
    judge = next((judge for judge in result.judges if judge.name == metric.judge), None)
    data = tuple(_other_data(wanted, result))
    differs = (*data, *_other_conditions(value, wanted, result, judge))
    return Ours(
        result=result.id,
        value=metric.value,
        judge=metric.judge,
        dataset=result.dataset.name,
        channel=result.setup.channel if result.dataset.files else "",
        seed=result.setup.seed,
        differs=differs,
        other_data=bool(data),
        delta=None if differs else metric.value - value.value,
    )


def _other_data(wanted: _Wanted, result: Result) -> Iterator[str]:
    name = wanted.dataset.name if wanted.dataset else ""
    if result.dataset.name != name:
        yield f"dataset {result.dataset.name}"
    elif wanted.dataset:
        yield from _changes("dataset", result.dataset, wanted.dataset)
    if result.setup.limit is not None:
        yield f"limit {result.setup.limit}"


def _other_conditions(
    value: PublishedValue, wanted: _Wanted, result: Result, judge: JudgeRef | None
) -> Iterator[str]:
    if result.status != "complete":
        yield f"{result.status} result"
    if result.suite != SUITE:
        yield f"suite {result.suite}"
    if (judge.name if judge else "") != value.judge:
        yield f"judge {judge.name if judge else 'none'}"
    elif judge:
        yield from _changes("judge", judge, wanted.judge)
    yield from _changes("protocol", result.protocol, wanted.protocol)
    yield from _changes("method", result.method, wanted.method)
    setup = result.setup
    if result.dataset.files and setup.channel not in (
        (value.channel,) if value.channel else _CHANNELS
    ):
        yield f"channel {setup.channel}"
    if setup.presentation != "crop":
        yield f"presentation {setup.presentation}"
    if result.dataset.files and setup.detector.name != DETECTOR:
        yield f"detector {setup.detector.name}"
    plugins = (result.method, setup.detector, *([judge] if judge else []))
    if any(text.startswith(STAMP) for plugin in plugins for text in plugin.weights.values()):
        yield "weights of a test fill"


def _changes(what: str, ran: PluginRef, wanted: Card | None) -> Iterator[str]:
    """In what a plug-in that ran is not the wanted one."""
    if wanted is None:
        yield f"{what} not installed here"
        return
    if ran.version != wanted.version:
        yield f"{what} v{ran.version}"
    yield from _settings(ran.config, wanted.config)


def _settings(ran: Mapping[str, ConfigValue], wanted: Mapping[str, ConfigValue]) -> Iterator[str]:
    for key in dict.fromkeys((*wanted, *ran)):
        if key not in _EFFORT and ran.get(key) != wanted.get(key):
            yield f"{key}={ran.get(key, 'unset')}"
