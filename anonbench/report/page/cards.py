"""Cards of everything that the results name, from the installed plug-ins and from the results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from anonbench import registry
from anonbench.cards import ConfigValue, MethodCard, ProtocolCard
from anonbench.errors import UserError
from anonbench.report.page.view import Card, Facts, Grid
from anonbench.results.record import DatasetRef, JudgeRef, MethodRef, Metric, PluginRef, Result

R = TypeVar("R", bound=PluginRef)
Used = Sequence[tuple[R, Result]]

NOT_INSTALLED = "It is not installed here: this is what its results say."
_BETTER = {"lower": "lower", "higher": "higher", "none": "neither"}


def build(results: Sequence[Result]) -> dict[str, tuple[Card, ...]]:
    """The cards by the title of their section."""
    judged = [(judge, result) for result in results for judge in result.judges]
    with_images = [(r.dataset, r) for r in results if r.dataset.files]
    return {
        "Methods": _cards(_method, [(result.method, result) for result in results]),
        "Protocols": _cards(_protocol, [(result.protocol, result) for result in results]),
        "Judges": _cards(_judge, judged),
        "Datasets": _cards(_dataset, with_images),
    }


def anchor(kind: str, name: str) -> str:
    """The place of a card on the page."""
    return f"{kind}-{re.sub(r'[^a-zA-Z0-9-]+', '_', name)}"


def _cards(write: Callable[[str, Used[R]], Card], used: Used[R]) -> tuple[Card, ...]:
    names = sorted({ref.name for ref, _ in used})
    return tuple(
        write(name, [(r, result) for r, result in used if r.name == name]) for name in names
    )


# ---------------------------------------------------------------------------------------- methods
def _method(name: str, used: Used[MethodRef]) -> Card:
    refs = [ref for ref, _ in used]
    card = registry.methods.installed(name)
    claims = [(claim,) for claim in card.claims] if card else []
    return Card(
        anchor=anchor("method", name),
        name=name,
        title=refs[0].title,
        summary=card.summary if card else NOT_INSTALLED,
        tags=tuple(_method_tags(refs[0], card)),
        facts=_said(_method_facts(card)) if card else (),
        grids=_filled(
            _grid("Measured with", ("settings", "alignment", "hidden bits"), _settings(refs, card)),
            _grid("Weights", ("name", "SHA-256, or version of the package"), _weights(refs)),
            _grid("What it says of its images", ("name", "meaning"), _remarks(card)),
            _grid("Claims of its authors", ("claim",), claims),
        ),
    )


def _method_tags(ref: MethodRef, card: MethodCard | None) -> Iterator[str]:
    yield "reversible" if ref.reversible else "not reversible"
    if ref.needs_latent:
        yield "recovers from a stored latent"
    if card and card.research_only:
        yield "research only"
    if card and card.key != "none":
        yield "key is a password" if card.key == "password" else "key is a seed"


def _method_facts(card: MethodCard) -> Mapping[str, str]:
    return {
        "paper": card.paper,
        "year": str(card.year or ""),
        "citation": card.citation,
        "licence": card.licence,
        "family": card.family,
        "password bits": f"{card.password_bits:,}" if card.password_bits else "",
        "white box for": ", ".join(card.white_box_judges),
    }


def _settings(refs: Iterable[MethodRef], card: MethodCard | None) -> Iterator[tuple[str, ...]]:
    for ref in {told(ref.config): ref for ref in refs}.values():
        own = _configured(card, ref.config)
        bits = f"{own.hidden_bits:,}" if own and own.hidden_bits else "none"
        yield told(ref.config) or "none to set", ref.template, bits if own else "not known here"


def _configured(card: MethodCard | None, config: Mapping[str, ConfigValue]) -> MethodCard | None:
    """The card with a result's settings; None where it has others by now."""
    try:
        return card.configured({**card.config, **config}) if card else None
    except UserError:
        return None


def _remarks(card: MethodCard | None) -> Iterable[tuple[str, str]]:
    return card.remarks.items() if card else ()


# -------------------------------------------------------------------------------------- protocols
def _protocol(name: str, used: Used[PluginRef]) -> Card:
    card = registry.protocols.installed(name)
    settings = dict.fromkeys((f"v{ref.version}", told(ref.config) or "none") for ref, _ in used)
    measured = {m.name: m for _, result in used for m in result.metrics if m.value is not None}
    metrics = _metrics(card, measured) if card else _metric_names(measured)
    return Card(
        anchor=anchor("protocol", name),
        name=name,
        title=card.title if card else name,
        summary=card.summary if card else NOT_INSTALLED,
        facts=_said(_protocol_facts(card)) if card else (),
        grids=_filled(
            _grid(
                "Metrics", ("metric", "better", "unit", "measured by", "± and interval"), metrics
            ),
            _grid("Measured with", ("version", "settings"), settings),
        ),
        text=_readme(name),
    )


def _protocol_facts(card: ProtocolCard) -> Mapping[str, str]:
    return {
        "after": card.citation,
        "licence": card.licence,
        "needs of a method": ", ".join(card.requires).replace("_", " "),
        "tables of the papers": ", ".join(card.published),
    }


def _metrics(card: ProtocolCard, measured: Mapping[str, Metric]) -> Iterator[tuple[str, ...]]:
    for spec in card.metrics:
        kinds = ", ".join(spec.kinds or card.judge_kinds) if spec.judged else "no judge"
        title = f"{spec.title} ({spec.name}){', headline' if spec.headline else ''}"
        spread = _spread(measured.get(spec.name))
        yield title, _BETTER[spec.direction], spec.unit or "–", kinds, spread


def _metric_names(measured: Mapping[str, Metric]) -> Iterator[tuple[str, ...]]:
    for name, metric in measured.items():
        by = "a judge" if metric.judge else "no judge"
        yield name, _BETTER[metric.direction], metric.unit or "–", by, _spread(metric)


def _spread(metric: Metric | None) -> str:
    """What stands around a metric's values."""
    if metric is None:
        return "–"
    std = [f"± over {metric.std_of}"] if metric.std is not None else []
    intervals = (f"{100 * i.level:g} % by {i.method}" for i in metric.intervals)
    return "; ".join((*std, *intervals)) or "none"


def _readme(protocol: str) -> str:
    """The definition that stands in the package of a protocol; empty where there is none."""
    for point in entry_points(group="anonbench.protocols", name=protocol):
        spec = find_spec(point.module.split(".")[0])
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            file = Path(folder, "README.md")
            if file.is_file():
                return file.read_text(encoding="utf-8", errors="replace")
    return ""


# --------------------------------------------------------------------------------- judges and data
def _judge(name: str, used: Used[JudgeRef]) -> Card:
    refs = [ref for ref, _ in used]
    card = registry.judges.installed(name)
    return Card(
        anchor=anchor("judge", name),
        name=name,
        title=refs[0].title,
        summary=card.summary if card else NOT_INSTALLED,
        tags=(card.kind,) if card else (),
        facts=_said(
            {
                "training data": refs[0].training_data,
                "alignment": refs[0].template,
                "licence": card.licence if card else "",
                "citation": card.citation if card else "",
                "white box for": ", ".join(card.white_box_for) if card else "",
            }
        ),
        grids=_filled(
            _grid("Weights", ("name", "SHA-256, or version of the package"), _weights(refs))
        ),
    )


def _dataset(name: str, used: Used[DatasetRef]) -> Card:
    refs = [ref for ref, _ in used]
    card = registry.datasets.installed(name)
    versions = dict.fromkeys((r.manifest, f"{r.files:,}", told(r.config) or "none") for r in refs)
    return Card(
        anchor=anchor("dataset", name),
        name=name,
        title=refs[0].title,
        summary=card.summary if card else NOT_INSTALLED,
        tags=("research only",) if card and card.research_only else (),
        facts=_said({"licence": card.licence, "citation": card.citation}) if card else (),
        grids=(_grid("Measured on", ("manifest, SHA-256", "files", "settings"), tuple(versions)),),
    )


# ---------------------------------------------------------------------------------------- helpers
def _weights(refs: Iterable[PluginRef]) -> Iterable[tuple[str, str]]:
    return dict.fromkeys(pair for ref in refs for pair in ref.weights.items())


def told(config: Mapping[str, ConfigValue]) -> str:
    """Settings as text; those that are empty are left out."""
    return ", ".join(f"{key} {value}" for key, value in config.items() if value != "")


def _said(facts: Mapping[str, str]) -> Facts:
    return tuple((key, value) for key, value in facts.items() if value)


def _grid(title: str, headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Grid:
    return Grid(title, headings, tuple(rows))


def _filled(*grids: Grid) -> tuple[Grid, ...]:
    """The grids that have rows."""
    return tuple(grid for grid in grids if grid.rows)
