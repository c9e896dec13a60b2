"""From what a user asks to jobs: plug-ins and data checked, what is missing fetched or named."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

from anonbench import registry, weights
from anonbench.cards import JudgeCard, MethodCard, ProtocolCard, SuiteCard
from anonbench.data import open_dataset
from anonbench.engine import models
from anonbench.engine.channel import Channel
from anonbench.engine.job import Job, RunConfig
from anonbench.errors import BadConfig, MissingArtefact
from anonbench.interfaces import BenchProtocol


@dataclass(frozen=True)
class _Trial:
    """A protocol with the dataset and the judges of its suite, and the methods it is run on."""

    protocol: ProtocolCard
    suite: SuiteCard
    methods: tuple[MethodCard, ...]


def build_protocol(card: ProtocolCard) -> BenchProtocol:
    """The protocol that a card describes; BadConfig where its settings are wrong."""
    return cast(BenchProtocol, registry.protocols.load(card.name)(card))


def plan(config: RunConfig) -> list[Job]:
    """All jobs for what a user asks; plug-ins and data are checked, and what is missing fetched.

    A dataset is fetched only where the user names no folder for it.

    Raises:
        UserError: A name, option, dataset or file is wrong or missing.
    """
    if config.precision == "auto":
        fastest = models.fastest_precision(models.resolve_device(config.device))
        config = config.model_copy(update={"precision": fastest})
    if config.presentation == "paste" and Channel.parse(config.channel).is_float:
        raise BadConfig("Crops are pasted back into 8-bit images, so not with --channel float.")
    asked = {spec: registry.judges.parse(spec) for spec in config.judges}
    trials = [_trial(spec, config, asked) for spec in config.protocols]
    _refuse_idle_judges(asked, [trial.protocol for trial in trials])
    detector = registry.judges.parse(config.detector)
    judges = {n: registry.judges.parse(n) for trial in trials for n in trial.suite.judges}
    _bring(trials, (detector, *judges.values()), config)
    opened = {
        name: open_dataset(name, config.data_root)
        for name in dict.fromkeys(trial.suite.dataset for trial in trials)
    }
    return [
        Job(
            config=config,
            protocol=trial.protocol,
            method=method,
            dataset=opened[trial.suite.dataset],
            judges=tuple(judges[name] for name in trial.suite.judges),
            detector=detector,
            seed=seed,
        )
        for trial in trials
        for method in trial.methods
        for seed in config.seeds
    ]


# --------------------------------------------------------------------------------- what is asked
def _trial(spec: str, config: RunConfig, asked: Mapping[str, JudgeCard]) -> _Trial:
    protocol = _with_undetected(registry.protocols.parse(spec, config.suite), config)
    build_protocol(protocol)
    methods = tuple(card for name in config.methods for card in _subjects(protocol, name, config))
    return _Trial(protocol, _suite(protocol, config, asked), methods)


def _subjects(protocol: ProtocolCard, spec: str, config: RunConfig) -> Iterator[MethodCard]:
    """A method, or where a protocol compares variants those of its card.

    A method to which the user gave settings is taken as that one variant.
    """
    card = registry.methods.parse(spec, config.suite)
    if not (protocol.variants and card.variants and ":" not in spec):
        yield card
        return
    for changes in card.variants.values():
        yield card.configured(card.config | changes)


def _suite(protocol: ProtocolCard, config: RunConfig, asked: Mapping[str, JudgeCard]) -> SuiteCard:
    """The suite of a protocol; of the judges asked for, those that it takes replace its own."""
    if config.suite not in protocol.suites:
        raise BadConfig(
            f"The protocol '{protocol.name}' has no suite '{config.suite}'.",
            why=f"Its suites are: {', '.join(protocol.suites)}.",
        )
    suite = protocol.suites[config.suite]
    fitting = tuple(spec for spec, card in asked.items() if card.kind in protocol.judge_kinds)
    asked_dataset = config.dataset if suite.dataset != "none" else ""
    return SuiteCard(dataset=asked_dataset or suite.dataset, judges=fitting or suite.judges)


def _refuse_idle_judges(asked: Mapping[str, JudgeCard], protocols: Sequence[ProtocolCard]) -> None:
    kinds = {kind for protocol in protocols for kind in protocol.judge_kinds}
    for spec, card in asked.items():
        if card.kind not in kinds:
            takes = "; ".join(f"{p.name} {'/'.join(p.judge_kinds) or 'none'}" for p in protocols)
            raise BadConfig(
                f"The judge '{spec}' is of the kind {card.kind}, which no protocol asked for "
                "takes.",
                why=f"Kinds of judges that they take: {takes}.",
                mend="See: anonbench list judges",
            )


def _with_undetected(card: ProtocolCard, config: RunConfig) -> ProtocolCard:
    """`--undetected` is short for the setting of that name, of protocols that have it."""
    if config.undetected is None or "undetected" not in card.config:
        return card
    return card.model_copy(update={"config": {**card.config, "undetected": config.undetected}})


# -------------------------------------------------------------------------------- what it takes
def _bring(trials: Sequence[_Trial], judges: Sequence[JudgeCard], config: RunConfig) -> None:
    """Fetch what is missing, after making sure that all that only the user can bring is here.

    Raises:
        MissingArtefact: Something is lacking; all of it is named at once, with the commands.
    """
    names = [n for t in trials if not t.protocol.weightless for m in t.methods for n in m.weights]
    names += [name for card in judges for name in card.weights]
    datasets = [registry.datasets.parse(trial.suite.dataset) for trial in trials]
    if config.data_root is None:
        names += [card.artefact for card in datasets if card.artefact]
    absent = [name for name in dict.fromkeys(names) if not weights.is_present(name)]
    checks: list[Callable[[], object]] = [partial(weights.require_by_hand, absent)]
    for trial, card in zip(trials, datasets, strict=True):
        if card.artefact not in absent:
            checks.append(partial(open_dataset, trial.suite.dataset, config.data_root))
    lacking = [error for check in checks if (error := _missing(check))]
    if lacking:
        raise _all_of(lacking, [name for name in absent if not weights.catalogue()[name].page])
    if absent:
        weights.fetch(absent, offline=config.offline)


def _missing(check: Callable[[], object]) -> MissingArtefact | None:
    try:
        check()
    except MissingArtefact as error:
        return error
    return None


def _all_of(lacking: Sequence[MissingArtefact], fetchable: Sequence[str]) -> MissingArtefact:
    """One error that names everything."""
    messages = list(dict.fromkeys(str(error) for error in lacking))
    fetch = f"Fetched once these are there: {', '.join(fetchable)}." if fetchable else ""
    if len(lacking) == 1 and not fetch:
        return lacking[0]
    return MissingArtefact("\n".join(messages), mend=fetch)
