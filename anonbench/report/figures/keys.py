"""`keys`: how far recovery goes astray with wrong bits in the password."""

from __future__ import annotations

import numpy as np

from anonbench import registry
from anonbench.errors import BadData
from anonbench.metrics.bootstrap import mean_replicates, percentile_interval
from anonbench.metrics.verification import Floats
from anonbench.report.figures import style
from anonbench.report.figures.drawing import Drawing, conditions, warnings
from anonbench.report.figures.source import Item, Source, by_panel, methods_of

PROTOCOL = "key-sensitivity"


def draw(source: Source) -> Drawing:
    """Mean absolute difference to the right recovery over the number of wrong bits.

    Raises:
        BadData: No result of the protocol, or none of a method with a password.
    """
    _check_secret(source)
    items = source.items(PROTOCOL, "flips", judged=False)
    panels = by_panel(items)
    said = warnings(items)
    with style.styled():
        figure, axes = style.line_sheet(len(panels), source.choice.width, methods_of(items), said)
        for ax, (name, inside) in zip(axes, panels.items(), strict=True):
            for item in inside:
                look = style.look(item.place)
                counts = item.scores["flip_counts"].astype(np.int64)
                mean, low, high = flip_curve(item)
                ax.plot(
                    counts,
                    mean,
                    color=look.colour,
                    linestyle=look.line,
                    marker=look.marker,
                    label=item.label,
                )
                ax.fill_between(counts, low, high, color=look.colour, alpha=0.2, linewidth=0)
            ax.set_title(style.heading(name, source.choice.width))
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
            ax.set_ylim(bottom=0)
            ax.set_xlabel("wrong bits of the password")
            ax.set_ylabel("MAE to the right recovery")
            ax.grid()
    caption = (
        "Mean absolute difference between the images recovered with some password bits wrong and "
        "with none, of images in [0, 1].",
        "Bands: pointwise 95 % by percentile bootstrap over identities, as the protocol draws.",
        conditions(items),
    )
    return Drawing(figure, caption, said)


def _check_secret(source: Source) -> None:
    results = source.measured(PROTOCOL)
    if any(metric.value is not None for result in results for metric in result.metrics):
        return
    cards = map(registry.methods.card, registry.methods.names())
    secret = [card.name for card in cards if card.key == "password"]
    raise BadData(
        f"No method in {source.folder} has a password.",
        why=f"There is one in: {', '.join(secret)}.",
        mend=f"Bring the weights of one (anonbench info NAME), and run it through {PROTOCOL}.",
    )


def flip_curve(item: Item) -> tuple[Floats, Floats, Floats]:
    """Mean over images and its band at each number of wrong bits, each `[C]`."""
    good = item.scores["failed"].astype(np.str_) == ""
    flips = item.scores["flips"].astype(np.float64)[good]
    identity = item.scores["identity"].astype(np.int64)[good]
    config = item.result.protocol.config
    replicates, seed = int(config["bootstrap"]), int(config["bootstrap_seed"])
    ends = [
        percentile_interval(mean_replicates(column, identity, replicates, seed))
        for column in flips.T
    ]
    low, high = np.array(ends).T
    return flips.mean(axis=0), low, high
