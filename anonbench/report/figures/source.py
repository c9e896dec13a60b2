"""Where figures take their numbers from: results in a folder, the newest of each kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from anonbench.errors import BadData
from anonbench.report import entries
from anonbench.report.cells import REFERENCE
from anonbench.report.model import Name, labels
from anonbench.report.tables import newest
from anonbench.results import store
from anonbench.results.record import JudgeRef, Result
from anonbench.values import Scores

COLUMN = 8.8
"""Width of a column of a two-column paper, in cm."""


@dataclass(frozen=True)
class Choice:
    """What the user chose; empty names choose everything.

    Attributes:
        methods: Names of methods.
        datasets: Names of datasets.
        judges: Names of judges.
        x: The metric across, as `PROTOCOL/METRIC[/JUDGE]`.
        y: The metric upwards, likewise.
        projection: Which map of `identity-map`.
        dims: In how many dimensions.
        width: Of the figure, in cm.
    """

    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    x: str = "lfw-tar/tar"
    y: str = ""
    projection: Literal["tsne", "pca"] = "tsne"
    dims: Literal[2, 3] = 2
    width: float = COLUMN


@dataclass(frozen=True)
class Item:
    """What one judge, or none, says of one method: a curve, a cloud, a group of bars.

    Attributes:
        result: Where it stands.
        judge: Who said it.
        scores: The stored arrays; empty where only metrics are drawn.
        label: The method, told from its variants.
        panel: The data and the judge, told from others in the figure.
        data: The data, where those of the figure differ, and likewise the channel; else empty.
        place: Of the method among those of the figure; the same method has the same look.
    """

    result: Result
    judge: JudgeRef | None
    scores: Scores = field(default_factory=dict)
    label: str = ""
    panel: str = ""
    data: str = ""
    place: int = 0

    @property
    def tag(self) -> str:
        """Method, with the data and channel where the figure has several."""
        return f"{self.label}, {self.data}" if self.data else self.label

    @property
    def is_reference(self) -> bool:
        """Whether it is the unprotected original."""
        return self.result.method.name == REFERENCE


@dataclass(frozen=True)
class Source:
    """Results of a folder, as far as they were chosen."""

    folder: Path
    results: tuple[Result, ...]
    choice: Choice

    def measured(self, protocol: str) -> list[Result]:
        """The newest results of a protocol, failed ones left out.

        Raises:
            BadData: There are none.
        """
        every = [r for r in self.results if r.protocol.name == protocol and r.status != "failed"]
        if not every:
            raise self.lacks(protocol)
        return newest(every)[0]

    def items(
        self, protocol: str, needed: str, *, apart: Iterable[str] = (), judged: bool = True
    ) -> list[Item]:
        """What the stored scores of a protocol have under a name, per result and judge.

        Args:
            protocol: Its name.
            needed: The array without which there is nothing to draw.
            apart: Settings of the protocol that do not decide what is drawn.
            judged: Whether a judge stored it.

        Raises:
            BadData: No result has it.
        """
        results = self.measured(protocol)
        found = [
            Item(result, judge, scores)
            for result in results
            for judge, scores in self._scores(result)
            if needed in scores and bool(judge) == judged
        ]
        if not found:
            why = f"No stored scores of its results of {protocol} have '{needed}'."
            raise self.lacks(protocol, why)
        return labelled(found, apart)

    def _scores(self, result: Result) -> Iterator[tuple[JudgeRef | None, Scores]]:
        path = store.find(self.folder, result.id)
        judges = {judge.name: judge for judge in result.judges}
        for name, scores in store.load_scores(path).items() if path else ():
            if not name or not self.choice.judges or name in self.choice.judges:
                yield judges.get(name), scores

    def lacks(self, protocol: str, why: str = "", more: str = "") -> BadData:
        """The error that says which protocol to run.

        Args:
            protocol: Its name.
            why: Instead of what the folder has.
            more: Options of the command.
        """
        has = ", ".join(sorted({result.protocol.name for result in self.results}))
        methods = ",".join(sorted({result.method.name for result in self.results}))
        chosen = ", ".join((*self.choice.methods, *self.choice.datasets, *self.choice.judges))
        among = f" among those chosen ({chosen})" if chosen else ""
        return BadData(
            f"{self.folder} has no results for this figure{among}.",
            why=why or (f"It has results of: {has}." if has else ""),
            mend=f"Run: anonbench run --method {methods or 'identity,pixelate'} "
            f"--protocol {protocol} --suite demo {more}--output {self.folder}",
        )


def open_source(folder: Path, results: Iterable[Result], choice: Choice) -> Source:
    """The chosen results of a folder.

    Raises:
        BadData: A name that was chosen and that no result has.
    """
    every = tuple(results)
    _check("method", choice.methods, {r.method.name for r in every}, folder)
    _check("dataset", choice.datasets, {r.dataset.name for r in every}, folder)
    _check("judge", choice.judges, {j.name for r in every for j in r.judges}, folder)
    kept = [
        result
        for result in every
        if (not choice.methods or result.method.name in choice.methods)
        and (not choice.datasets or result.dataset.name in choice.datasets)
    ]
    return Source(folder, tuple(kept), choice)


def _check(kind: str, chosen: Iterable[str], there: set[str], folder: Path) -> None:
    if unknown := [name for name in chosen if name not in there]:
        raise BadData(
            f"No result in {folder} has the {kind} '{', '.join(unknown)}'.",
            why=f"There are: {', '.join(sorted(there)) or 'none'}.",
        )


# ---------------------------------------------------------------------------------------- labels
def labelled(items: Sequence[Item], apart: Iterable[str] = ()) -> list[Item]:
    """Items with labels, sorted by panel and method, the original first; doubles left out."""
    methods = method_labels([item.result for item in items])
    data = labels(_data(item.result, apart) for item in items)
    judges = labels(_judge(item) for item in items)
    order = sorted({(not i.is_reference, methods[entries.method_name(i.result)]) for i in items})
    found: dict[tuple[str, int, str], Item] = {}
    for item in items:
        label = methods[entries.method_name(item.result)]
        where = data[_data(item.result, apart)]
        panel = f"{where}\n{judges[_judge(item)]}".strip()
        place = order.index((not item.is_reference, label))
        channel = item.result.setup.channel if "channel" in apart else ""
        told = ", ".join(filter(None, (where if len(data) > 1 else "", channel)))
        made = replace(item, label=label, panel=panel, data=told, place=place)
        found.setdefault((panel, place, item.result.setup.channel), made)
    return [found[key] for key in sorted(found)]


def method_labels(results: Sequence[Result]) -> dict[Name, str]:
    """A label per row; hashes of weights only where settings do not tell methods apart."""
    names = {entries.method_name(result): result for result in results}
    short = {
        name: Name(name.title, tuple(f for f in name.facts if f[0] not in result.method.weights))
        for name, result in names.items()
    }
    if len(set(short.values())) < len(names):
        return labels(names)
    found = labels(short.values())
    return {name: found[short[name]] for name in names}


def _data(result: Result, apart: Iterable[str]) -> Name:
    full = entries.conditions(result)
    title = full.title.removeprefix("measured on ")
    return Name(title, tuple(fact for fact in full.facts if fact[0] not in apart))


def _judge(item: Item) -> Name:
    return Name(item.judge.title if item.judge else "")


def by_panel(items: Sequence[Item]) -> Mapping[str, list[Item]]:
    """The items of each panel, in order."""
    grouped: dict[str, list[Item]] = {}
    for item in items:
        grouped.setdefault(item.panel, []).append(item)
    return grouped


def methods_of(items: Sequence[Item]) -> dict[str, int]:
    """The place of each method, in order."""
    return dict(sorted({item.label: item.place for item in items}.items(), key=lambda kv: kv[1]))
