"""`ablation`: variants of a method by chosen metrics of other protocols."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from anonbench import registry
from anonbench.cards import ProtocolCard
from anonbench.errors import BadConfig
from anonbench.interfaces import BenchProtocol, Dataset, Evidence
from anonbench.measuring import Settings, read_settings
from anonbench.results.record import Counts, Metric, Reduction
from anonbench.values import Needs, Scores


class Options(Settings):
    """Settings of `ablation`.

    Attributes:
        parts: The protocols, separated by `+`, each with its settings after slashes:
            `lfw-tar/far=0.01+utility`.
        metrics: Those of their metrics that are reported, likewise.
        suite: Whose settings the parts take.
    """

    parts: str
    metrics: str
    suite: str


class Ablation:
    """Measures as its parts do, each by the judges of its kinds, and reports some of their metrics.

    The engine runs it on every variant of a method.

    Args:
        card: Its config has `parts`, `metrics` and `suite`.

    Raises:
        BadConfig: A metric is none of the card's and of exactly one part.
    """

    def __init__(self, card: ProtocolCard) -> None:
        self.card = card
        options = read_settings(Options, card)
        self.metrics = _listed(options.metrics)
        parts = [_part(spec, options.suite) for spec in _listed(options.parts)]
        self.parts = {part.card.name: part for part in parts}
        for name in self.metrics:
            self._require_one_source(name)

    def _require_one_source(self, metric: str) -> None:
        sources = [name for name, part in self.parts.items() if metric in _names(part.card)]
        if len(sources) != 1 or metric not in _names(self.card):
            own = ", ".join(_names(self.card))
            raise BadConfig(
                f"{self.card.name} cannot report the metric '{metric}'.",
                why=f"It is in {' and '.join(sources) or 'none'} of its parts "
                f"({', '.join(self.parts)}); it must be in one. The card lists {own}.",
                mend=f"Write for example {self.card.name}:metrics={_names(self.card)[0]}",
            )

    def needs(self, dataset: Dataset, limit: int | None) -> Needs:
        """All that any part needs.

        Raises:
            BadConfig: Parts need different images of the same source.
            BadData: A part cannot be measured on the dataset.
        """
        needs = [part.needs(dataset, limit) for part in self.parts.values()]
        ids = {f.name: self._common(f.name, needs) for f in fields(Needs) if f.name != "seeds"}
        return Needs(**ids, seeds=max(some.seeds for some in needs))

    def _common(self, source: str, needs: Sequence[Needs]) -> tuple[str, ...]:
        """The images of a source that parts need; evidence does not tell whose are whose."""
        wanted = {ids for some in needs if (ids := getattr(some, source))}
        if len(wanted) > 1:
            raise BadConfig(
                f"The parts of {self.card.name} ({', '.join(self.parts)}) need different images "
                f"as '{source}'.",
                mend="Combine protocols that measure the same images.",
            )
        return wanted.pop() if wanted else ()

    def score(self, dataset: Dataset, evidence: Evidence, judge: str, limit: int | None) -> Scores:
        """The scores of every part that takes the judge, as `PART.NAME`."""
        return {
            f"{name}.{key}": values
            for name, part in self.parts.items()
            if self._served(part.card, judge)
            for key, values in part.score(dataset, evidence, judge, limit).items()
        }

    def _served(self, part: ProtocolCard, judge: str) -> bool:
        """Whether a part has something to do for a judge, or where there is none, without one."""
        wanted = [spec for spec in part.metrics if spec.name in self.metrics]
        if judge:
            kind = registry.judges.card(judge).kind
            return kind in part.judge_kinds and any(spec.judged for spec in wanted)
        return any(not spec.judged for spec in wanted)

    def reduce(self, scores: Scores) -> Reduction:
        """The chosen metrics; the counts are those of the part that lost most images.

        Raises:
            BadData: A part could not measure any image.
        """
        reductions = [part.reduce(own) for part, own in self._by_part(scores)]
        found = [metric for reduction in reductions for metric in reduction.metrics]
        counts = [reduction.counts for reduction in reductions]
        return Reduction(
            metrics=tuple(self._chosen(found)),
            counts=max(
                counts,
                key=lambda some: some.expected - some.used,
                default=Counts(unit="images", expected=0, used=0),
            ),
        )

    def _by_part(self, scores: Scores) -> Iterator[tuple[BenchProtocol, Scores]]:
        for name, part in self.parts.items():
            prefix = f"{name}."
            own = {k.removeprefix(prefix): v for k, v in scores.items() if k.startswith(prefix)}
            if own:
                yield part, own

    def _chosen(self, found: Sequence[Metric]) -> list[Metric]:
        chosen = [metric for metric in found if metric.name in self.metrics]
        return sorted(chosen, key=lambda metric: self.metrics.index(metric.name))


def _part(spec: str, suite: str) -> BenchProtocol:
    card = registry.protocols.parse(spec.replace("/", ":"), suite)
    if card.variants:
        raise BadConfig(
            f"'{card.name}' compares variants itself and cannot be a part of an ablation."
        )
    built: BenchProtocol = registry.protocols.load(card.name)(card)
    return built


def _names(card: ProtocolCard) -> list[str]:
    return [spec.name for spec in card.metrics]


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split("+") if name.strip())
