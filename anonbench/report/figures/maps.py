"""`tsne` and `identity-map`: maps of embeddings, as the protocols stored them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anonbench.report.figures import style
from anonbench.report.figures.drawing import Drawing, conditions, listed, warnings
from anonbench.report.figures.source import Item, Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Floats = NDArray[np.float64]

_TITLES = {"reference": "original", "published": "anonymized", "recovered": "recovered"}
_SHAPES = {"reference": "o", "published": "X", "recovered": "^"}
_SIZE = 9.0


def draw_tsne(source: Source) -> Drawing:
    """A panel per method; a colour and a marker per face, a point per dummy identity."""
    items, others = _of_one_judge(source.items("diversity", "map"))
    said = warnings(items)
    with style.styled():
        figure, axes = _panels(items, source.choice.width, said)
        for ax, item in zip(axes, items, strict=True):
            for face, points in enumerate(item.scores["map"].astype(np.float64)):
                look = style.look(face)
                _scatter(ax, points, look.colour, look.marker, filled=True)
    numbers = {item.label: item.scores["map"].shape[:2] for item in items}
    counts = "; ".join(f"{label} {k} of {f} faces" for label, (f, k) in numbers.items())
    caption = (
        "t-SNE of the embeddings of published images, each panel by itself, so distances between "
        "panels mean nothing. A colour and marker is one face, a point a dummy identity of it "
        f"({counts}).",
        f"Perplexity: {_perplexities(items)}.",
        conditions(items),
        *others,
    )
    return Drawing(figure, caption, said)


def draw_identity_map(source: Source) -> Drawing:
    """A panel per method; a colour per person, a marker per kind of image."""
    choice = source.choice
    array = f"{choice.projection}{choice.dims}"
    items, others = _of_one_judge(source.items("identity-map", array))
    said = warnings(items)
    kinds = dict.fromkeys(str(kind) for item in items for kind in item.scores["source"])
    with style.styled():
        figure, axes = _panels(
            items,
            choice.width,
            said,
            legend=_kinds_legend(list(kinds)),
            deep=choice.dims == 3,
        )
        for ax, item in zip(axes, items, strict=True):
            _identity_panel(ax, item, item.scores[array].astype(np.float64))
    name = "t-SNE" if choice.projection == "tsne" else "Principal components"
    caption = (
        f"{name} in {choice.dims} dimensions of the embeddings of all kinds of images together, "
        "each panel by itself.",
        f"A colour is a person; beyond {len(style.COLOURS)} people markers are hollow, beyond "
        f"{2 * len(style.COLOURS)} they repeat.",
        *([f"Perplexity: {_perplexities(items)}."] if choice.projection == "tsne" else []),
        conditions(items),
        *others,
    )
    return Drawing(figure, caption, said)


def _of_one_judge(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """The items of the first judge, and a sentence on the others."""
    titles = {item.judge.name: item.judge.title for item in items if item.judge}
    first, *others = titles or {"": ""}
    kept = [item for item in items if not item.judge or item.judge.name == first]
    told = [f"Judge: {titles[first]}."] if titles else []
    if others:
        told.append(f"Also stored: {listed(others)}; choose with --judge.")
    return kept, told


def _panels(
    items: Sequence[Item],
    width: float,
    said: Sequence[str],
    *,
    legend: Sequence[Line2D] = (),
    deep: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A panel per item, titled by its method, without ticks: coordinates mean nothing."""
    figure, axes = style.sheet(
        len(items),
        columns=max(2, int(width / 4.4)),
        width=width,
        height=4.4,
        legend=legend,
        notes=said,
        projection="3d" if deep else None,
    )
    for ax, item in zip(axes, items, strict=True):
        ax.set_title(style.folded(item.tag, 30))
        ax.set(**{f"{axis}ticklabels": [] for axis in ("xyz" if deep else "xy")})
        ax.tick_params(length=0)
    return figure, axes


def _identity_panel(ax: Axes, item: Item, points: Floats) -> None:
    """Points `[N, S, D]` of N images in S kinds."""
    identity = item.scores["identity"].astype(np.int64)
    good = item.scores["failed"].astype(np.str_) == ""
    for number, person in enumerate(np.unique(identity[good])):
        look = style.look(number)
        filled = number // len(style.COLOURS) % 2 == 0
        for place, kind in enumerate(map(str, item.scores["source"])):
            cloud = points[good & (identity == person), place]
            _scatter(ax, cloud, look.colour, _SHAPES[kind], filled=filled)


def _scatter(ax: Axes, points: Floats, colour: str, marker: str, *, filled: bool) -> None:
    face = colour if filled else "none"
    ax.scatter(  # type: ignore[misc]  # a third coordinate is there only in 3-D
        *points.T, s=_SIZE, marker=marker, facecolors=face, edgecolors=colour, linewidths=0.6
    )


def _kinds_legend(kinds: Sequence[str]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color="black", linestyle="", marker=_SHAPES[kind], label=_TITLES[kind])
        for kind in kinds
    ]


def _perplexities(items: Sequence[Item]) -> str:
    return listed(f"{float(item.scores['perplexity']):.3g}" for item in items)
