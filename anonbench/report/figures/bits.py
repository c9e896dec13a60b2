"""`bits`: how often each of the 32 bits of a hidden float is read wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anonbench.metrics.password import WIDTH
from anonbench.metrics.verification import Floats
from anonbench.report.figures import style
from anonbench.report.figures.drawing import Drawing, conditions, warnings
from anonbench.report.figures.source import Item, Source

if TYPE_CHECKING:
    from matplotlib.patches import Patch

FIELDS = {"sign": range(1), "exponent": range(1, 9), "mantissa": range(9, WIDTH)}


def draw(source: Source) -> Drawing:
    """A panel per method and data, a bar per bit, coloured by field."""
    items = source.items("password", "wrong_by_position", judged=False)
    said = warnings(items)
    with style.styled():
        figure, axes = style.sheet(
            len(items), width=source.choice.width, height=2.5, legend=_legend(), notes=said
        )
        rates = [error_rates(item) for item in items]
        for ax, item, by_position in zip(axes, items, rates, strict=True):
            for place, bits in enumerate(FIELDS.values()):
                look = style.look(place)
                hatch = style.HATCHES[place]
                at = [bit + 1 for bit in bits]
                ax.bar(
                    at,
                    by_position[bits],
                    0.8,
                    color=look.colour,
                    hatch=hatch,
                    edgecolor="white",
                    linewidth=0,
                )
            ax.set_title(style.folded(item.tag, 60))
            ax.set_xlim(0.4, WIDTH + 0.6)
            ax.set_ylim(0, 1.1 * max(rate.max() for rate in rates) or 1)
            ax.set_xticks([1, 9, 16, 24, WIDTH])
            ax.tick_params(labelbottom=ax is axes[-1])
            ax.set_ylabel("error rate")
            ax.grid(axis="y")
        axes[-1].set_xlabel("bit of the float, most significant first")
    caption = (
        "Share of each of the 32 bits of the hidden float32 numbers that was read wrong from "
        "published images, over all numbers of all images. A method whose bits are no float32 "
        "pattern has no panel.",
        conditions(items),
    )
    return Drawing(figure, caption, said)


def error_rates(item: Item) -> Floats:
    """Bit error rate at each position, `[32]`."""
    images = int((item.scores["failed"].astype(np.str_) == "").sum())
    numbers = images * int(item.scores["count"]) / WIDTH
    rates: Floats = item.scores["wrong_by_position"].astype(np.float64) / numbers
    return rates


def _legend() -> list[Patch]:
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=style.COLOURS[place], hatch=style.HATCHES[place], edgecolor="w", label=name)
        for place, name in enumerate(FIELDS)
    ]
