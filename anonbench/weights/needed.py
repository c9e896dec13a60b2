"""Which artefacts a run needs, from the cards of its plug-ins."""

from collections.abc import Iterable

from anonbench import registry
from anonbench.cards import ProtocolCard, SuiteCard
from anonbench.errors import BadConfig


def needed(
    methods: Iterable[str] = (),
    protocols: Iterable[str] = (),
    suite: str = "demo",
    detector: str = "dlib-hog",
    dataset: str = "",
) -> list[str]:
    """Names of the artefacts that running methods through protocols takes.

    Args:
        methods: Registered methods, with config if any (`NAME:key=value`).
        protocols: Registered protocols, likewise; each brings its suite's judges and dataset
            and the detector.
        suite: Which of the protocols' suites.
        detector: The judge that finds faces for alignment.
        dataset: A dataset in place of the suite's own.

    Raises:
        UnknownName: Nobody registered one of the names.
        BadConfig: A protocol has no such suite.
    """
    found: list[str] = []
    for name in methods:
        found += registry.methods.parse(name, suite).weights
    for name in protocols:
        chosen = _suite(registry.protocols.parse(name), suite)
        for judge in (detector, *chosen.judges):
            found += registry.judges.parse(judge).weights
        found.append(registry.datasets.parse(dataset or chosen.dataset).artefact)
    return list(dict.fromkeys(filter(None, found)))


def protocols_of(suite: str) -> list[str]:
    """All registered protocols that have this suite.

    Raises:
        BadConfig: None has it.
    """
    cards = [registry.protocols.card(name) for name in registry.protocols.names()]
    names = [card.name for card in cards if suite in card.suites]
    if not names:
        known = sorted({known for card in cards for known in card.suites})
        raise BadConfig(f"No protocol has a suite '{suite}'.", why=f"Known: {', '.join(known)}.")
    return names


def _suite(card: ProtocolCard, suite: str) -> SuiteCard:
    if suite not in card.suites:
        raise BadConfig(
            f"The protocol '{card.name}' has no suite '{suite}'.",
            why=f"Its suites are: {', '.join(card.suites)}.",
        )
    return card.suites[suite]
