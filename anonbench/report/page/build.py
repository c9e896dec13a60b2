"""From the results of a folder to everything that is on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from anonbench.errors import UserError
from anonbench.report import entries
from anonbench.report.caption import dataset_title
from anonbench.report.page import boards as leaderboard
from anonbench.report.page import cards, provenance
from anonbench.report.page.flags import FEW_RULE
from anonbench.report.page.view import (
    Board,
    Choice,
    Faces,
    Facts,
    Figure,
    Filters,
    MetricChoice,
    Page,
)
from anonbench.results.record import Result


def build(
    title: str,
    results: Sequence[Result],
    problems: Iterable[UserError] = (),
    figures: Iterable[Figure] = (),
    faces: Faces | None = None,
) -> Page:
    """The page.

    Args:
        title: Its title.
        results: All results, at least one; older ones of the same cells may be among them.
        problems: Files that could not be read.
        figures: Drawn, or with a reason.
        faces: None where none were asked for.
    """
    boards, shown = leaderboard.build(results)
    return Page(
        title=title,
        counts=tuple(_counts(results, boards)),
        facts=_facts(results),
        problems=tuple((error.what, f"{error.why} {error.mend}".strip()) for error in problems),
        boards=tuple(boards),
        filters=_filters(boards, _judge_titles(results)),
        figures=tuple(figures),
        faces=faces,
        cards=cards.build(results),
        runs=provenance.build(results, shown),
        few=FEW_RULE,
    )


def _counts(results: Sequence[Result], boards: Sequence[Board]) -> list[str]:
    status = Counter(result.status for result in results)
    methods = len({result.method.name for result in results})
    protocols = len({result.protocol.name for result in results})
    data = len({result.dataset.name for result in results if result.dataset.files})
    said = [
        _many(len(results), "result"),
        _many(methods, "method"),
        _many(protocols, "protocol"),
        _many(data, "dataset"),
        _many(len(boards), "comparable table"),
    ]
    return [*said, *(f"{status[name]} {name}" for name in ("partial", "failed") if status[name])]


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _facts(results: Sequence[Result]) -> Facts:
    ran = [result.environment for result in results]
    commits = Counter(e.commit[:10] + ("+changes" if e.dirty else "") for e in ran if e.commit)
    devices = Counter(f"{e.gpu or e.cpu} ({e.device}), {e.precision}" for e in ran)
    judges = dict.fromkeys(judge.title for result in results for judge in result.judges)
    datasets = dict.fromkeys(r.dataset.title for r in results if r.dataset.files)
    seeds = dict.fromkeys(str(result.setup.seed) for result in results)
    facts = (
        *provenance.dates(results),
        ("anonbench", ", ".join(dict.fromkeys(e.anonbench for e in ran))),
        ("commits", _counted(commits)),
        ("on", _counted(devices)),
        ("data", ", ".join(datasets)),
        ("judges", ", ".join(judges)),
        ("seeds", ", ".join(seeds)),
    )
    return tuple((name, value) for name, value in facts if value)


def _counted(counts: Mapping[str, int]) -> str:
    """Each with how many results have it, where there are several."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


# ---------------------------------------------------------------------------------------- filters
def _filters(boards: Sequence[Board], judges: Mapping[str, str]) -> Filters:
    measured = dict.fromkeys(h.judge for b in boards for h in b.headings if not h.published)
    return Filters(
        choices={
            "protocol": _choices((b.protocol, f"{b.title} ({b.protocol})") for b in boards),
            "dataset": _choices((b.dataset, _data_title(b.dataset)) for b in boards),
            "judge": _choices((j or "-", judges.get(j, "no judge")) for j in measured),
            "suite": _choices((board.suite, board.suite) for board in boards),
            "channel": _choices((b.channel, b.channel) for b in boards if b.channel),
        },
        metrics=_metrics(boards),
    )


def _choices(pairs: Iterable[tuple[str, str]]) -> tuple[Choice, ...]:
    return tuple(Choice(value, title) for value, title in dict(pairs).items())


def _data_title(name: str) -> str:
    return "no images" if name == "none" else dataset_title(name)


def _judge_titles(results: Iterable[Result]) -> dict[str, str]:
    return {judge.name: judge.title for result in results for judge in result.judges}


def _metrics(boards: Iterable[Board]) -> dict[str, tuple[MetricChoice, ...]]:
    """The metrics of each protocol; a headline is what some board shows unasked."""
    found: dict[str, dict[str, bool]] = {}
    for board in boards:
        known = found.setdefault(board.protocol, {})
        for heading in board.headings:
            known[heading.metric] = known.get(heading.metric, False) or heading.headline
    return {
        protocol: tuple(
            MetricChoice(f"{protocol}/{name}", _metric_title(protocol, name), headline)
            for name, headline in known.items()
        )
        for protocol, known in found.items()
    }


def _metric_title(protocol: str, name: str) -> str:
    return next((s.title for s in entries.specs(protocol) if s.name == name), name)
