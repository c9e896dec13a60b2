"""`robustness`: a metric over publication channels, a line per method."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anonbench.report.figures import style
from anonbench.report.figures.drawing import Drawing, conditions, warnings
from anonbench.report.figures.measures import ERRORS, Measured, chosen
from anonbench.report.figures.source import Source, methods_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRIC = "lfw-tar/tar"


def draw(source: Source) -> Drawing:
    """A panel per data, the channels from the one that changes nothing to the coarsest.

    Raises:
        BadData: All results have the same channel.
    """
    found, told = chosen(source, source.choice.y or METRIC, apart=("channel",))
    items = [one.item for one in found]
    channels = sorted({item.result.setup.channel for item in items}, key=coarseness)
    if len(channels) < 2:
        why = f"Its results of {items[0].result.protocol.name} have one channel, {channels[0]}."
        raise source.lacks(items[0].result.protocol.name, why, "--channel jpeg:75 ")
    panels: dict[str, list[Measured]] = {}
    for one in found:
        panels.setdefault(one.item.panel, []).append(one)
    said = warnings(items)
    width = source.choice.width
    with style.styled():
        figure, axes = style.sheet(
            len(panels),
            width=width,
            height=5.2,
            legend=style.line_legend(methods_of(items), width),
            notes=said,
        )
        for ax, (name, inside) in zip(axes, panels.items(), strict=True):
            _draw_panel(ax, inside, channels)
            ax.set_title(name.replace("\n", ", "))
    return Drawing(
        figure, (f"{found[0].axis} per channel.", ERRORS, conditions(items), *told), said
    )


def _draw_panel(ax: Axes, inside: Sequence[Measured], channels: Sequence[str]) -> None:
    places = dict.fromkeys(one.item.place for one in inside)
    for number, place in enumerate(places):
        look = style.look(place)
        line = sorted(
            (one for one in inside if one.item.place == place),
            key=lambda one: channels.index(one.item.result.setup.channel),
        )
        shift = 0.3 * (number / max(1, len(places) - 1) - 0.5)
        ax.errorbar(
            [channels.index(one.item.result.setup.channel) + shift for one in line],
            [one.value for one in line],
            yerr=[[one.errors[end] for one in line] for end in (0, 1)],
            color=look.colour,
            marker=look.marker,
            linestyle=look.line,
            elinewidth=0.7,
            capsize=1.5,
            label=line[0].item.label,
        )
    ax.set_xticks(range(len(channels)), channels, rotation=30, ha="right")
    ax.set_ylabel(style.folded(inside[0].axis, 36))
    ax.grid(axis="y")


def coarseness(channel: str) -> tuple[int, int, str, float]:
    """Sorts channels: float, png, then by format, the higher quality or scale first."""
    first = {"float": 0, "png": 1}.get(channel, 2)
    number = re.search(r"[\d.]+", channel)
    kind = re.sub(r"[\d.]+", "", channel)
    return first, channel.count("+"), kind, -float(number[0]) if number else 0.0
