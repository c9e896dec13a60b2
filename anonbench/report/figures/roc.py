"""`roc` and `det`: verification over all thresholds, from the stored pairs of `lfw-tar`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anonbench.metrics.verification import Floats
from anonbench.report.figures import style
from anonbench.report.figures.drawing import Drawing, conditions, warnings
from anonbench.report.figures.rates import (
    band,
    roc_points,
    stored_pairs,
    with_recovered_probes,
)
from anonbench.report.figures.source import Item, Source, by_panel, methods_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

PROTOCOL = "lfw-tar"
_NOT_DECISIVE = ("protocol", "rule", "far", "bootstrap", "bootstrap_seed")
"""Versions of the protocol differ in what they report of the same pairs."""
_RECOVERED: style.Line = ":"
_BAND_POINTS = 60
_MARKS = 5
_RATES = (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Curve:
    """FAR and TAR of one item, and the band of TAR at some FARs.

    `recovered` is FAR and TAR with probes as recovered, where the method is reversible.
    """

    item: Item
    far: Floats
    tar: Floats
    at: Floats
    low: Floats
    high: Floats
    recovered: tuple[Floats, Floats] | None


def draw_roc(source: Source) -> Drawing:
    """True accept rate over false accept rate, the latter on a logarithmic axis."""
    return _draw(source, "Receiver operating characteristic", _roc_panel)


def draw_det(source: Source) -> Drawing:
    """False reject rate over false accept rate, both on axes of normal deviates."""
    return _draw(source, "Detection error trade-off", _det_panel)


def _draw(source: Source, title: str, panel: Callable[[Axes, Sequence[Curve]], None]) -> Drawing:
    items = source.items(PROTOCOL, "distance", apart=_NOT_DECISIVE)
    panels = by_panel(items)
    said = warnings(items)
    width = source.choice.width
    curves = {name: [_curve(item) for item in inside] for name, inside in panels.items()}
    more = _legend(curve for inside in curves.values() for curve in inside)
    with style.styled():
        figure, axes = style.line_sheet(len(panels), width, methods_of(items), said, more)
        for ax, (name, inside) in zip(axes, curves.items(), strict=True):
            ax.set_title(style.heading(name, width))
            panel(ax, inside)
    replicates = {item.result.protocol.config.get("bootstrap") for item in items}
    caption = (
        f"{title} over the pairs of all folds, genuine probes as published"
        f"{', dotted as recovered from the published files' if more else ''}.",
        f"Bands: pointwise 95 % by percentile bootstrap over identities, thresholds chosen anew in "
        f"each of {', '.join(map(str, replicates))} replicates, as the protocol draws them.",
        conditions(items),
    )
    return Drawing(figure, caption, said)


def _curve(item: Item) -> Curve:
    config = item.result.protocol.config
    pairs = stored_pairs(item.scores, str(config["undetected"]))
    far, tar = roc_points(pairs)
    at = np.geomspace(1 / (~pairs.same).sum(), 1, _BAND_POINTS)
    low, high = band(pairs, at, int(config["bootstrap"]), int(config["bootstrap_seed"]))
    return Curve(item, far, tar, at, low, high, _recovered(item))


def _recovered(item: Item) -> tuple[Floats, Floats] | None:
    """Nothing for the original either, of which recovered images are the published ones."""
    scores = None if item.is_reference else with_recovered_probes(item.scores)
    if scores is None:
        return None
    return roc_points(stored_pairs(scores, str(item.result.protocol.config["undetected"])))


def _legend(curves: Iterable[Curve]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    if all(curve.recovered is None for curve in curves):
        return []
    return [Line2D([], [], color="black", linestyle=_RECOVERED, label="recovered")]


def _roc_panel(ax: Axes, curves: Sequence[Curve]) -> None:
    from matplotlib.ticker import LogLocator

    for curve in curves:
        _line(ax, curve, curve.tar)
        _dots(ax, curve, lambda tar: tar)
        _band(ax, curve, curve.low, curve.high)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(numticks=9))
    ax.set_xlim(min(curve.at[0] for curve in curves), 1)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("false accept rate")
    ax.set_ylabel("true accept rate")
    ax.grid()


def _det_panel(ax: Axes, curves: Sequence[Curve]) -> None:
    from scipy.special import ndtr, ndtri

    def deviates(rates: Floats) -> Floats:
        found: Floats = ndtri(np.clip(rates, 1e-6, 1 - 1e-6))
        return found

    for curve in curves:
        _line(ax, curve, 1 - curve.tar)
        _dots(ax, curve, lambda tar: 1 - tar)
        _band(ax, curve, 1 - curve.high, 1 - curve.low)
    ax.set_xscale("function", functions=(deviates, ndtr))
    ax.set_yscale("function", functions=(deviates, ndtr))
    least = min(curve.at[0] for curve in curves)
    ax.set_xlim(least, 0.6)
    ax.set_ylim(0.0005, 0.9995)
    ticks = [f"{100 * rate:g}" for rate in _RATES]
    ax.set_xticks([rate for rate in _RATES if least <= rate < 0.6], minor=False)
    ax.set_xticklabels([t for r, t in zip(_RATES, ticks, strict=True) if least <= r < 0.6])
    ax.set_yticks(_RATES[1:], ticks[1:])
    ax.set_xlabel("false accept rate, %")
    ax.set_ylabel("false reject rate, %")
    ax.grid()


def _line(ax: Axes, curve: Curve, rates: Floats) -> None:
    """The curve, with its marker where the FAR passes a few places, shifted by method."""
    look = style.look(curve.item.place)
    start = np.log10(curve.at[0])
    places = 10 ** (start * (np.arange(_MARKS) + curve.item.place % 5 / 5) / _MARKS)
    ax.plot(
        curve.far,
        rates,
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markevery=sorted({int(np.searchsorted(curve.far, place)) for place in places}),
        label=curve.item.label,
    )


def _dots(ax: Axes, curve: Curve, rates: Callable[[Floats], Floats]) -> None:
    if curve.recovered:
        far, tar = curve.recovered
        colour = style.look(curve.item.place).colour
        ax.plot(far, rates(tar), color=colour, linestyle=_RECOVERED)


def _band(ax: Axes, curve: Curve, low: Floats, high: Floats) -> None:
    colour = style.look(curve.item.place).colour
    ax.fill_between(curve.at, low, high, color=colour, alpha=0.2, linewidth=0)
