"""What a measured number is compared with: the published one of the same method and metric."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from anonbench.report.caption import dataset_title
from anonbench.report.entries import Entry
from anonbench.results.published import PublishedValue
from anonbench.results.record import Result


class Comparisons:
    """Published values by method, protocol and metric.

    A value is found only where it is the only one: tables of two papers that disagree, or variants
    of one method, leave open which to compare with.
    """

    def __init__(self, values: Iterable[PublishedValue]) -> None:
        self._values: defaultdict[tuple[str, str, str], list[PublishedValue]] = defaultdict(list)
        for value in values:
            self._values[value.method, value.protocol, value.metric].append(value)

    def compare(self, entry: Entry, result: Result) -> Entry:
        """The entry with the published value beside it, and a footnote on what is not the same."""
        value = self._of(entry, result)
        if value is None or entry.value is None:
            return entry
        differing = _differing(value, entry, result)
        notes = (f"Δ to a number {' and '.join(differing)}",) if differing else ()
        return replace(entry, against=value.value, notes=(*entry.notes, *notes))

    def _of(self, entry: Entry, result: Result) -> PublishedValue | None:
        found = self._values[entry.method, result.protocol.name, entry.metric]
        found = [value for value in found if value.judge in ("", entry.judge_name)]
        same_data = [value for value in found if value.dataset == result.dataset.name]
        found = same_data or found
        return found[0] if len(found) == 1 else None


def _differing(value: PublishedValue, entry: Entry, result: Result) -> list[str]:
    """In what a measured number differs from the published one, as far as a paper says."""
    other_data = value.dataset and value.dataset != result.dataset.name
    return [
        *([f"on other data, {dataset_title(value.dataset)}"] if other_data else []),
        *(
            ["by a judge that the paper does not name"]
            if entry.judge_name and not value.judge
            else []
        ),
    ]
