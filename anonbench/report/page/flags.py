"""Warnings that stand at a number: what weakens it, in a word or two and in a sentence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anonbench.report.entries import Entry
from anonbench.report.figures.drawing import FEW
from anonbench.results.record import Metric, Result

WIDE = 20
"""Percentage points of a 95 % interval of a share above which it says little."""

FEW_RULE = (
    f"A number is marked “few” where fewer than {FEW} samples are behind it, or where the 95 % "
    f"interval of a share or a percentage is wider than {WIDE} points."
)
_BATCH = ("statistics", "authors")
"""The setting of FIT with which it normalises by the batch at hand."""

_WORDS = {"partial result": "partial", "weights: test fill": "test weights"}


@dataclass(frozen=True)
class Flag:
    """A warning: `word` stands at the number, `text` below the table."""

    word: str
    text: str


def of_number(entry: Entry, result: Result | None) -> Iterator[Flag]:
    """The warnings of a measured or published number.

    Args:
        entry: The number.
        result: Where it was measured; None where it was published.
    """
    if entry.white_box:
        yield Flag("white box", "White box: the method was trained or optimised against the judge.")
    for note in entry.notes:
        if word := word_of(note):
            yield Flag(word, f"{note[0].upper()}{note[1:]}.")
    if result is None or entry.value is None:
        return
    if result.setup.channel == "float" and result.dataset.files:
        yield Flag("float", "The channel “float” publishes images that no recipient ever has.")
    if (_BATCH[0], result.method.config.get(_BATCH[0])) == _BATCH:
        yield Flag(
            "batch statistics",
            "Batch statistics: which images were anonymized together decides how each comes out.",
        )
    if few := _few(entry, result):
        yield Flag("few", few)


def word_of(note: str) -> str:
    """The word that stands for a footnote which is a warning; empty for other footnotes."""
    return next((word for start, word in _WORDS.items() if note.startswith(start)), "")


def _few(entry: Entry, result: Result) -> str:
    """Why a number rests on few samples, or nothing; networks alone have no samples."""
    metric = _metrics(result).get((entry.metric, entry.judge_name))
    if metric is None or not result.dataset.files:
        return ""
    if metric.n < FEW:
        return f"Few samples: {metric.n} behind the number."
    scale = {"share": 100, "%": 1}.get(metric.unit.split(" ")[0])
    if scale and metric.intervals:
        points = scale * (metric.intervals[0].high - metric.intervals[0].low)
        if points > WIDE:
            return f"Few people or pairs: the 95 % interval is {points:.1f} points wide."
    return ""


def _metrics(result: Result) -> Mapping[tuple[str, str], Metric]:
    return {(metric.name, metric.judge): metric for metric in result.metrics}
