"""`pareto`: what privacy costs, one marker per method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from anonbench.errors import BadData
from anonbench.report import entries
from anonbench.report.figures import style
from anonbench.report.figures.drawing import Drawing, warnings
from anonbench.report.figures.measures import ERRORS, Measured, chosen
from anonbench.report.figures.source import Source, method_labels
from anonbench.report.model import Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UTILITY = "utility/landmark-distance"
Point = tuple[Measured, Measured]


def draw(source: Source) -> Drawing:
    """A panel per data; a dashed line joins the methods that none beats in both metrics.

    Raises:
        BadData: No method has both metrics on the same data.
    """
    across, told_x = chosen(source, source.choice.x)
    upwards, told_y = chosen(source, source.choice.y or UTILITY)
    panels = _panels(across, upwards)
    if not panels:
        raise BadData(
            f"No method in {source.folder} has both metrics on the same data and channel.",
            mend=f"Run both {across[0].item.result.protocol.name} and "
            f"{upwards[0].item.result.protocol.name} with the same methods and dataset.",
        )
    points = [point for inside in panels.values() for point in inside]
    labels = method_labels([x.item.result for x, _ in points])
    places = {label: place for place, label in enumerate(sorted(set(labels.values())))}
    items = [one.item for point in points for one in point]
    # With one panel its data need not be told from those of results that are not shown.
    said = warnings(items if len(panels) > 1 else [replace(item, data="") for item in items])
    width = source.choice.width
    with style.styled():
        figure, axes = style.sheet(
            len(panels),
            columns=2,
            width=width,
            height=5.4 if len(panels) > 1 else 6.4,
            legend=style.line_legend(places, width, lines=False),
            notes=said,
        )
        for ax, (name, inside) in zip(axes, panels.items(), strict=True):
            for x, y in inside:
                place = places[labels[entries.method_name(x.item.result)]]
                _mark(ax, x, y, place)
            _draw_front(ax, inside)
            characters = int(width * 6 / min(2, len(panels)))
            ax.set_title(style.heading(name, width))
            ax.set_xlabel(style.folded(inside[0][0].axis, characters))
            ax.set_ylabel(style.folded(inside[0][1].axis, 36))
            ax.grid()
    caption = (
        f"{inside[0][0].axis} against {inside[0][1].axis}.",
        "The dashed line joins methods that no other one beats in both.",
        ERRORS,
        *told_x,
        *told_y,
    )
    return Drawing(figure, caption, said)


def _panels(across: Sequence[Measured], upwards: Sequence[Measured]) -> dict[str, list[Point]]:
    """Pairs of metrics of the same method, data, channel and circumstances, per data."""
    found = {_key(y): y for y in reversed(upwards)}
    panels: dict[str, dict[object, Point]] = {}
    for x in across:
        if (key := _key(x)) in found:
            title = f"{entries.data(x.item.result).title}, {x.item.result.setup.channel}"
            panels.setdefault(title, {}).setdefault(key, (x, found[key]))
    return {title: list(points.values()) for title, points in panels.items()}


def _key(one: Measured) -> object:
    result = one.item.result
    return (
        entries.method_name(result),
        result.dataset.manifest,
        entries.circumstances(result),
    )


def _mark(ax: Axes, x: Measured, y: Measured, place: int) -> None:
    look = style.look(place)
    ax.errorbar(
        [x.value],
        [y.value],
        xerr=[[end] for end in x.errors],
        yerr=[[end] for end in y.errors],
        color=look.colour,
        marker=look.marker,
        markersize=5,
        markeredgecolor=look.colour,
        markerfacecolor=(look.colour, 0.35),  # so that a marker shows what lies behind it
        elinewidth=0.7,
        capsize=1.5,
        linestyle="",
    )


def _draw_front(ax: Axes, points: Sequence[Point]) -> None:
    best = front(
        [(x.value, y.value) for x, y in points],
        (points[0][0].metric.direction, points[0][1].metric.direction),
    )
    if len(best) > 1:
        ax.plot(*zip(*best, strict=True), color="grey", linestyle="--", linewidth=0.7, zorder=0)


def front(
    points: Sequence[tuple[float, float]], directions: tuple[Direction, Direction]
) -> list[tuple[float, float]]:
    """The points that no other one beats in one metric without being worse in the other.

    Args:
        points: Values of both metrics.
        directions: Which way is better; with `none` there is no front.

    Returns:
        Sorted by the first metric.
    """
    if "none" in directions:
        return []
    signs = [1.0 if direction == "higher" else -1.0 for direction in directions]
    good = [(signs[0] * x, signs[1] * y) for x, y in points]
    kept = {
        point
        for point, (a, b) in zip(points, good, strict=True)
        if not any(c >= a and d >= b and (c, d) != (a, b) for c, d in good)
    }
    return sorted(kept)
