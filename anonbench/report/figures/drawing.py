"""What a kind of figure gives: the figure, its caption, and what weakens its numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from anonbench.report.figures.source import Item

FEW = 100
"""Below so many, a 95 % interval of a share may be wider than 10 points to either side."""


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        figure: To be saved with `style.save`.
        caption: Sentences that a caption needs: what is shown, under which conditions.
        warnings: Sentences that also stand in the figure itself, below its panels.
    """

    figure: Figure
    caption: tuple[str, ...]
    warnings: tuple[str, ...]


def warnings(items: Sequence[Item]) -> tuple[str, ...]:
    """What a reader of the numbers must know: each sentence once, with those it concerns."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        for text in _of(item):
            said[text].add(item.tag)
    return tuple(_concerning(tags, items) + text for text, tags in said.items())


def _concerning(tags: set[str], items: Sequence[Item]) -> str:
    """Whom a sentence concerns, a method once for all its variants; nothing where it is all."""
    if tags == {item.tag for item in items}:
        return ""
    variants: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        variants[item.result.method.title].add(item.tag)
    named = (
        [title] if own <= tags else sorted(own & tags) for title, own in sorted(variants.items())
    )
    return "; ".join(name for names in named for name in names) + ": "


def conditions(items: Sequence[Item]) -> str:
    """Data and circumstances that all items share, as one sentence."""
    from anonbench.report import entries

    shared = [(*entries.protocol(i.result), *entries.circumstances(i.result)) for i in items]
    facts = dict.fromkeys(
        f"{k} {v}" for k, v in shared[0] if all((k, v) in other for other in shared)
    )
    seeds = dict.fromkeys(str(item.result.setup.seed) for item in items)
    data = listed(entries.data(item.result).title for item in items)
    return f"Data: {data}. Conditions: {', '.join(facts)}, seed {', '.join(seeds)}."


def _of(item: Item) -> Iterator[str]:
    result, judge = item.result, item.judge.name if item.judge else ""
    yield from result.warnings
    if result.status == "partial":
        yield "Partial result."
    if item.judge and any(m.white_box for m in result.metrics if m.judge == judge):
        yield f"White box: the method was optimised against {item.judge.title}."
    counts = result.counts.get(judge)
    if counts and counts.used < FEW:
        yield f"Few samples: {counts.used} {counts.unit}."


def listed(texts: Iterable[str]) -> str:
    """Texts with commas, each once."""
    return ", ".join(dict.fromkeys(texts))
