"""What stands above and below a table: conditions, counts, warnings, caveats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from anonbench import registry
from anonbench.report import entries
from anonbench.report.cells import PLAIN, REFERENCE, Style
from anonbench.report.model import ABSENT, Name, Note, Row, labels
from anonbench.results import published as papers
from anonbench.results.published import PublishedTable, PublishedValue
from anonbench.results.record import Counts, Metric, Result

RANKING = "Best in bold, second best underlined, ties at the printed precision included."
OVERLAPPING = "Best in bold, second best underlined, those with overlapping intervals included."
WITHIN_GROUPS = "included, within each group of {}."
DELTA = "Δ is the number measured here minus the published one of the same method and metric."
REFERENCE_APART = "The unprotected original is the reference and is not ranked."


def caption(
    results: Sequence[Result],
    metrics: Sequence[str],
    titles: Mapping[str, str],
    style: Style = PLAIN,
    *,
    has_reference: bool,
) -> tuple[str, str]:
    """What stands above a table, in two parts, the second of which may stand below it.

    Returns:
        Metric, data, what ± is and the ranking; then counts, and conditions that all measured
        columns share.
    """
    datasets = _distinct(entries.data(result).title for result in results)
    seeds = _distinct(str(result.setup.seed) for result in results)
    facts = _shared([entries.conditions(result).facts for result in results])
    lead = [
        f"{_list(titles.values())} on {_list(datasets)}.",
        *_spreads(results, metrics, style),
        _ranking(style),
        *([DELTA] if style.delta else []),
        *([REFERENCE_APART] if has_reference else []),
    ]
    rest = [
        f"Conditions: {', '.join(f'{k} {v}' for k, v in facts)}, seed {_list(seeds)}.",
        *_common_counts(results),
    ]
    return " ".join(lead), " ".join(rest)


def paper_caption(
    paper: PublishedTable, results: Sequence[Result], style: Style = PLAIN
) -> tuple[str, str]:
    """Which table of a paper it follows, and under which conditions numbers were measured here.

    Args:
        paper: The published table.
        results: Results of which numbers are shown.
        style: How numbers are printed and ranked.

    Returns:
        What must stand above the table, and the conditions, which may stand below it.
    """
    data = _list(_distinct(entries.data(result).title for result in results)) or "nothing"
    lead = [
        f"After {paper.paper}, Table {paper.number} (“{paper.title}”).",
        f"Measured here: {data}.",
        *_spreads(results, [*(c.metric for c in paper.columns), *paper.beside], style),
        *([DELTA] if style.delta else []),
        *(_paper_ranking(paper, results, style) if paper.rows_are == "methods" else ()),
    ]
    return " ".join(lead), " ".join(_paper_conditions(results))


def _paper_ranking(paper: PublishedTable, results: Sequence[Result], style: Style) -> Iterator[str]:
    groups = WITHIN_GROUPS.format("columns" if paper.transposed else "rows")
    yield _ranking(style).replace("included.", groups)
    if any(result.method.name == REFERENCE for result in results):
        yield REFERENCE_APART


def _paper_conditions(results: Sequence[Result]) -> Iterator[str]:
    """What all results share, then what those of each protocol do."""
    if results:
        facts = [f"{k} {v}" for k, v in _shared([entries.circumstances(r) for r in results])]
        seeds = _distinct(str(result.setup.seed) for result in results)
        yield f"Conditions: {', '.join(facts)}, seed {_list(seeds)}."
    for name, group in by_protocol(results).items():
        shared = dict(_shared([entries.protocol(result) for result in group]))
        protocol = shared.pop("protocol", name)
        yield f"{protocol}: {', '.join(f'{k} {v}' for k, v in shared.items())}."


def footnotes(
    results: Sequence[Result],
    superseded: Sequence[Result],
    rows: Sequence[Row],
    values: Iterable[PublishedValue],
) -> list[Note]:
    """Footnotes without a letter: white-box and empty cells, remarks, warnings, caveats.

    Args:
        results: Results of which numbers are shown.
        superseded: Results left out for newer ones.
        rows: The rows of the table.
        values: Published values that are shown.
    """
    cells = [cell for row in rows for cell in row.cells]
    notes = []
    if any("†" in cell.marks for cell in cells):
        notes.append(
            Note("White box: the method was trained or optimised against this judge.", "†")
        )
    if any(cell.text == ABSENT for cell in cells):
        notes.append(Note("Not measured, or not published.", ABSENT))
    protocols = by_protocol(results)
    for name, group in protocols.items():
        lead = f"{name}: " if len(protocols) > 1 else ""
        notes += [Note(f"{lead}{text}") for text in (*_differing_counts(group), *_warnings(group))]
    said = _distinct(text for group in protocols.values() for text in _said(group))
    notes += [Note(text) for text in said]
    if superseded:
        notes.append(Note(f"Older results of the same configuration left out: {len(superseded)}."))
    return [*notes, *map(Note, _caveats(tuple(values)))]


def by_protocol(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of each protocol, in the order of their first."""
    grouped: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        grouped[result.protocol.name].append(result)
    return grouped


def dataset_title(name: str) -> str:
    """The title of a dataset by its name, the name itself where it is not installed."""
    card = registry.datasets.installed(name)
    return card.title if card else name


def _ranking(style: Style) -> str:
    return OVERLAPPING if style.ties == "ci" else RANKING


def _spreads(results: Sequence[Result], metrics: Sequence[str], style: Style) -> list[str]:
    """What ± and brackets are, and of which metrics where they are not the same of all."""
    kinds = {
        "std": style.spread == "std",
        "ci": style.spread == "ci",
        "ties": style.ties == "ci" and style.spread != "ci",
    }
    spreads: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for result in results:
        titles = {spec.name: spec.title for spec in entries.specs(result.protocol.name)}
        for metric in result.metrics:
            if metric.name in metrics and metric.value is not None:
                for kind, wanted in kinds.items():
                    if wanted and (spread := _spread_of(metric, kind)):
                        spreads[spread][titles.get(metric.name, metric.name)] = None
    return [
        f"{spread} ({'; '.join(concerned)})." if len(spreads) > 1 else f"{spread}."
        for spread, concerned in spreads.items()
    ]


def _spread_of(metric: Metric, kind: str) -> str:
    """What is printed behind a number or makes ties, empty where there is none."""
    if kind == "std":
        return f"± is the standard deviation over {metric.std_of}" if metric.std is not None else ""
    if not metric.intervals:
        return ""
    interval = metric.intervals[0]
    lead = "Brackets hold the" if kind == "ci" else "Intervals for ties: the"
    return f"{lead} {100 * interval.level:g} % confidence interval by {interval.method}"


def _caveats(values: Sequence[PublishedValue]) -> Iterator[str]:
    for table_id in _distinct(value.table for value in values):
        table = papers.table(table_id)
        datasets = _distinct(v.dataset for v in values if v.table == table_id and v.dataset)
        data = f" on {_list(map(dataset_title, datasets))}" if datasets else ""
        yield (
            f"Published: {table.paper}, Table {table.number}{data}, as printed there; measured by "
            f"its authors, ranked apart. {table.note}".strip()
        )


def _said(results: Sequence[Result]) -> Iterator[str]:
    """What methods themselves say about the images that they published."""
    for result, tag in zip(results, _tags(results), strict=True):
        yield from (f"{tag}: {remark}." for remark in result.remarks)


def _warnings(results: Sequence[Result]) -> Iterator[str]:
    tags = _tags(results)
    by_text: defaultdict[str, list[str]] = defaultdict(list)
    for result, tag in zip(results, tags, strict=True):
        for warning in result.warnings:
            by_text[warning].append(tag)
    for text, concerned in by_text.items():
        yield text if len(concerned) == len(results) else f"{', '.join(concerned)}: {text}"


# ---------------------------------------------------------------------------------------- counts
def _figures(counts: Counts) -> dict[str, int]:
    return {
        f"{counts.unit} expected": counts.expected,
        f"{counts.unit} used": counts.used,
        **counts.detail,
    }


def _counts(results: Sequence[Result]) -> dict[str, dict[str, list[int]]]:
    """Per kind of count, per result, the figure of each judge; runs without samples left out."""
    table: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
    for result, tag in zip(results, _tags(results), strict=True):
        for counts in result.counts.values():
            for name, figure in _figures(counts).items() if counts.expected else ():
                table[name].setdefault(tag, []).append(figure)
    return table


def _common_counts(results: Sequence[Result]) -> list[str]:
    """Counts that are the same for every method and judge, zeros left out."""
    found = {
        name: {figure for figures in per_result.values() for figure in figures}
        for name, per_result in _counts(results).items()
    }
    same = {name: min(figures) for name, figures in found.items() if len(figures) == 1}
    listed = ", ".join(f"{name} {figure}" for name, figure in same.items() if figure)
    return [f"Counts: {listed}."] if listed else []


def _differing_counts(results: Sequence[Result]) -> Iterator[str]:
    """One sentence per count that differs between methods or judges."""
    for name, per_result in _counts(results).items():
        if len({figure for figures in per_result.values() for figure in figures}) > 1:
            parts = [f"{tag} {_slashed(figures)}" for tag, figures in per_result.items()]
            yield f"{name[0].upper()}{name[1:]}: {', '.join(parts)}."


def _slashed(figures: Sequence[int]) -> str:
    """Figures per judge, once where they are equal."""
    return str(figures[0]) if len(set(figures)) == 1 else "/".join(map(str, figures))


# --------------------------------------------------------------------------------------- helpers
def _tags(results: Sequence[Result]) -> list[str]:
    """A label per result: its row, and its conditions where there are several."""
    rows = labels(entries.method_name(result) for result in results)
    groups = labels(entries.conditions(result) for result in results)
    several = len(groups) > 1

    def tag(row: Name, group: Name) -> str:
        return f"{rows[row]}, {groups[group]}" if several else rows[row]

    return [tag(entries.method_name(r), entries.conditions(r)) for r in results]


def _shared(facts: Sequence[entries.Facts]) -> list[tuple[str, str]]:
    """What holds for all; a setting that is empty says nothing."""
    return [fact for fact in facts[0] if fact[1] and all(fact in other for other in facts)]


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _list(texts: Iterable[str]) -> str:
    return ", ".join(texts)
