"""Where each result comes from, and the command that gets it again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from shlex import quote
from typing import Any

from anonbench import registry
from anonbench.cards import ProtocolCard
from anonbench.report.caption import by_protocol
from anonbench.report.page.boards import run_anchor
from anonbench.report.page.cards import told
from anonbench.report.page.view import Facts, Grid, Run, RunGroup
from anonbench.results.record import PluginRef, Result

_CHANNEL, _PRESENTATION, _DETECTOR = "png", "crop", "dlib-hog"
"""What `anonbench run` takes where nothing is said."""


def build(results: Sequence[Result], shown: Collection[str]) -> tuple[RunGroup, ...]:
    """All results by protocol; `shown` are the ids of those on the leaderboard."""
    return tuple(
        RunGroup(
            name, tuple(_run(r, r.id not in shown) for r in sorted(group, key=lambda r: r.created))
        )
        for name, group in sorted(by_protocol(results).items())
    )


def _run(result: Result, superseded: bool) -> Run:
    data = result.dataset.title if result.dataset.files else "no images"
    title = f"{result.method.title} on {data}, seed {result.setup.seed}"
    return Run(
        anchor=run_anchor(result),
        title=title,
        status=result.status,
        superseded=superseded,
        command=command(result),
        facts=tuple(_facts(result)),
        grids=tuple(grid for grid in _grids(result) if grid.rows),
    )


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    ran, setup = result.environment, result.setup
    dirty = {True: "with changes that are not committed", False: "", None: ""}[ran.dirty]
    yield "id", result.id
    yield "created", f"{result.created:%Y-%m-%d %H:%M} UTC"
    if result.error:
        yield "error", result.error
    yield "code", f"anonbench {ran.anonbench}, commit {ran.commit or 'unknown'} {dirty}".strip()
    yield "protocol", f"{result.protocol.name} v{result.protocol.version}"
    yield "settings of the protocol", told(result.protocol.config) or "none"
    yield "method", f"{result.method.name} v{result.method.version}"
    yield "settings of the method", told(result.method.config) or "none"
    if result.dataset.files:
        yield (
            "dataset",
            f"{result.dataset.name} v{result.dataset.version}, {result.dataset.files} files",
        )
        yield "manifest", result.dataset.manifest
        yield "published as", f"{setup.channel}, {setup.presentation}"
        yield "detector", f"{setup.detector.name} v{setup.detector.version}"
    yield "suite", result.suite
    yield "seed", str(setup.seed)
    if setup.limit is not None:
        yield "limit", str(setup.limit)
    yield "precision", ran.precision
    yield "device", f"{ran.gpu or ran.cpu}, {ran.device}, {ran.threads} of {ran.cores} threads"
    yield "system", f"{ran.platform}, Python {ran.python}"
    yield "packages", ", ".join(f"{name} {version}" for name, version in ran.packages.items())
    yield (
        "time and memory",
        f"{result.wall_seconds:,.1f} s, {result.peak_memory_mb:,.0f} MB at most",
    )


def _grids(result: Result) -> Iterator[Grid]:
    plugins = [("method", result.method), ("detector", result.setup.detector)]
    plugins += [("judge", judge) for judge in result.judges]
    weights = dict.fromkeys(
        (f"{kind} {plugin.name}", name, value)
        for kind, plugin in plugins
        for name, value in plugin.weights.items()
    )
    yield Grid("Weights", ("of", "name", "SHA-256, or version of the package"), tuple(weights))
    yield Grid("Samples", ("judge", "expected", "used", "failed, and counted"), _counts(result))
    stages = tuple(
        (s.name, f"{s.seconds:,.2f}", f"{s.computed:,} of {s.items:,}", str(s.failed))
        for s in result.stages
    )
    yield Grid("Stages", ("stage", "seconds", "computed, the rest was stored", "failed"), stages)


def _counts(result: Result) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            judge or "none",
            f"{counts.expected:,} {counts.unit}",
            f"{counts.used:,}",
            "; ".join(
                [f"{count} failed: {why}" for why, count in counts.failed.items()]
                + [f"{name} {count:,}" for name, count in counts.detail.items()]
            )
            or "none",
        )
        for judge, counts in result.counts.items()
        if counts.expected
    )


# ---------------------------------------------------------------------------------------- command
def command(result: Result) -> str:
    """The command that measures a result again; what is as it is without saying is left out."""
    setup, suite = result.setup, result.suite
    protocol = registry.protocols.installed(result.protocol.name)
    options: list[tuple[str, object]] = [
        ("method", _method(result, protocol)),
        ("protocol", spec(registry.protocols, result.protocol, suite)),
        ("suite", suite),
        *_data(result, protocol),
        ("seed", setup.seed),
    ]
    if setup.limit is not None:
        options.append(("limit", setup.limit))
    detector = spec(registry.judges, setup.detector)
    told_if = (
        ("channel", setup.channel, _CHANNEL),
        ("presentation", setup.presentation, _PRESENTATION),
    )
    options += [(name, value) for name, value, usual in told_if if value != usual]
    options += [("detector", detector)] if detector != _DETECTOR else []
    options += [("precision", "bf16")] if setup.precision == "bfloat16" else []
    said = (f"--{name} {quote(str(value))}" for name, value in options)
    return " ".join(("anonbench run", *said, *(["--compile"] if setup.compiled else [])))


def spec(known: registry.Registry[Any], plugin: PluginRef, suite: str = "") -> str:
    """A plug-in as the command line takes it: its name, then the settings that are not usual."""
    card = known.installed(plugin.name)
    usual = {**card.config, **card.suite_config.get(suite, {})} if card else {}
    changed = (f":{k}={v}" for k, v in plugin.config.items() if k not in usual or usual[k] != v)
    return "".join((plugin.name, *changed))


def _method(result: Result, protocol: ProtocolCard | None) -> str:
    """The method; where a protocol compares variants, a setting says that it is this one alone."""
    told_ = spec(registry.methods, result.method, result.suite)
    if protocol and protocol.variants and ":" not in told_ and result.method.config:
        key, value = next(iter(result.method.config.items()))
        return f"{told_}:{key}={value}"
    return told_


def _data(result: Result, protocol: ProtocolCard | None) -> Iterator[tuple[str, object]]:
    suite = protocol.suites.get(result.suite) if protocol else None
    if result.dataset.files:
        dataset = spec(registry.datasets, result.dataset)
        card = registry.datasets.installed(result.dataset.name)
        if not suite or suite.dataset != dataset:
            yield "dataset", dataset
        if not card or not card.artefact:
            yield "data-root", "DIR"
    judges = tuple(spec(registry.judges, judge) for judge in result.judges)
    if judges and (not suite or suite.judges != judges):
        yield "judge", ",".join(judges)


def dates(results: Sequence[Result]) -> Facts:
    """When the results were measured."""
    first, last = min(r.created for r in results), max(r.created for r in results)
    span = f"{first:%d %b %Y %H:%M}"
    return (("measured", span if first == last else f"{span} – {last:%d %b %Y %H:%M}, UTC"),)
