"""`ablation`: bars of the variants of methods, a panel per metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anonbench.report.figures import style
from anonbench.report.figures.drawing import Drawing, conditions, warnings
from anonbench.report.figures.measures import ERRORS, Measured, measured
from anonbench.report.figures.source import Source, methods_of

if TYPE_CHECKING:
    from matplotlib.patches import Patch


def draw(source: Source) -> Drawing:
    """Variants in the same order in every panel; the legend names them."""
    found = measured(source, "ablation")
    panels: dict[str, list[Measured]] = {}
    for one in found:
        where = one.item.panel.split("\n")[0]
        panels.setdefault(f"{where}\n{one.axis}", []).append(one)
    items = [one.item for one in found]
    places = methods_of(items)
    said = warnings(items)
    width = source.choice.width
    with style.styled():
        figure, axes = style.sheet(
            len(panels),
            columns=2,
            width=width,
            height=4.2,
            legend=[_patch(label, place, width) for label, place in places.items()],
            notes=said,
        )
        for ax, (name, inside) in zip(axes, panels.items(), strict=True):
            for one in inside:
                look = style.look(one.item.place)
                ax.bar(
                    one.item.place,
                    one.value,
                    0.8,
                    yerr=[[end] for end in one.errors],
                    color=look.colour,
                    hatch=look.hatch,
                    edgecolor="white",
                    linewidth=0,
                    error_kw={"elinewidth": 0.7, "capsize": 1.5},
                    label=one.item.label,
                )
            ax.set_title(style.heading(name, width))
            for place in sorted(set(places.values()) - {one.item.place for one in inside}):
                ax.text(place, 0, " n/a", rotation=90, ha="center", va="bottom", color="grey")
            ax.set_xlim(-0.6, len(places) - 0.4)
            ax.set_xticks([])
            ax.grid(axis="y")
    return Drawing(figure, (f"{len(places)} variants.", ERRORS, conditions(items)), said)


def _patch(label: str, place: int, width: float) -> Patch:
    from matplotlib.patches import Patch

    look = style.look(place)
    return Patch(
        facecolor=look.colour,
        hatch=look.hatch,
        edgecolor="white",
        label=style.folded(label, style.half(width)),
    )
