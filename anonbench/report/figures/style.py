"""One look for all figures: print at column width, colours that colour-blind readers can tell.

Colours are those of Okabe and Ito (Color Universal Design, 2008) without their yellow, which is
too light for lines on white. No text is smaller than 7 pt; markers and line styles differ beside
colours. Fonts are embedded, and no file holds a date, so the same figure gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal

from anonbench.errors import BadConfig, MissingExtra
from anonbench.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Line = Literal["-", "--", "-.", ":"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")
LINES: tuple[Line, ...] = ("-", "--", "-.", ":")
HATCHES = ("", "////", "....", "xxxx")

FORMATS: Mapping[str, Mapping[str, str | None]] = {
    ".pdf": {"Creator": "anonbench", "CreationDate": None},
    ".svg": {"Creator": "anonbench", "Date": None},
    ".png": {"Software": "anonbench"},
}
"""Endings of files, with the metadata that would else hold a date or a version."""

POINTS = 7.0
_CM = 2.54
_LINE = 0.34
"""Height of a line of text in cm."""
_CHARACTERS = 7.0
"""Of text at 7 pt, in a cm."""

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": POINTS,
    **{f"{part}.labelsize": POINTS for part in ("axes", "xtick", "ytick")},
    "axes.titlesize": POINTS,
    "legend.fontsize": POINTS,
    "figure.labelsize": POINTS,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
    "svg.fonttype": "path",
    "svg.hashsalt": "anonbench",
}


@dataclass(frozen=True)
class Look:
    """How one of several lines, bars or clouds differs from the others."""

    colour: str
    marker: str
    line: Line
    hatch: str


def look(index: int) -> Look:
    """The look of the `index`-th thing in a figure; of 28 no two are equal."""
    turn = index // len(COLOURS)
    return Look(
        COLOURS[index % len(COLOURS)],
        MARKERS[index % len(MARKERS)],
        LINES[turn % len(LINES)],
        HATCHES[turn % len(HATCHES)],
    )


def require_matplotlib() -> None:
    """Say how to install matplotlib where it is missing.

    Raises:
        MissingExtra: It is.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "plot", "anonbench plot")


@contextmanager
def styled() -> Iterator[None]:
    """Within it, figures get this style, whatever the user's matplotlib is set to."""
    import matplotlib.style

    with matplotlib.style.context(["default", _RC]):
        yield


def sheet(
    panels: int,
    *,
    width: float,
    height: float,
    columns: int = 1,
    legend: Sequence[Artist] = (),
    notes: Sequence[str] = (),
    projection: str | None = None,
) -> tuple[Figure, list[Axes]]:
    """A figure with panels row by row, a legend above and notes below them.

    Args:
        panels: How many.
        width: Of the figure, in cm.
        height: Of a panel with its title and labels, in cm.
        columns: Panels side by side, at most.
        legend: Artists with labels.
        notes: Sentences, wrapped to the width.
        projection: Of the panels, `3d` or None.
    """
    from matplotlib.figure import Figure

    columns = min(columns, panels)
    rows = ceil(panels / columns)
    labels = [str(artist.get_label()) for artist in legend]
    across = legend_columns(labels, width)
    lines = [line for note in notes for line in _wrapped(note, int(width * _CHARACTERS))]
    total = rows * height + _LINE * (_legend_lines(labels, across) + len(lines) + 1)
    figure = Figure(figsize=(width / _CM, total / _CM), layout="constrained")
    axes = [
        figure.add_subplot(rows, columns, place + 1, projection=projection)
        for place in range(panels)
    ]
    if legend:
        figure.legend(handles=list(legend), loc="outside upper center", ncols=across)
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", ma="left")
    return figure, axes


def line_sheet(
    panels: int,
    width: float,
    methods: Mapping[str, int],
    notes: Sequence[str],
    more: Sequence[Artist] = (),
) -> tuple[Figure, list[Axes]]:
    """The `sheet` of figures with a line per method: two panels side by side, methods above.

    More artists with labels may stand behind the methods.
    """
    legend = [*line_legend(methods, width), *more]
    return sheet(panels, columns=2, width=width, height=4.6, legend=legend, notes=notes)


def line_legend(labels: Mapping[str, int], width: float, lines: bool = True) -> list[Line2D]:
    """Handles of a legend.

    Args:
        labels: The place of each label, which gives its look.
        width: Of the figure, in cm.
        lines: Whether they stand for lines, with markers, or for markers alone.
    """
    from matplotlib.lines import Line2D

    handles = []
    for label, place in labels.items():
        its = look(place)
        handles.append(
            Line2D(
                [],
                [],
                color=its.colour,
                marker=its.marker,
                linestyle=its.line if lines else "",
                label=folded(label, half(width)),
            )
        )
    return handles


def _legend_lines(labels: Sequence[str], columns: int) -> float:
    """Lines of the tallest column, with the space between labels."""
    each = ceil(len(labels) / columns)
    stacks = [labels[start : start + each] for start in range(0, len(labels), each or 1)]
    return max((sum(x.count("\n") + 1.4 for x in stack) for stack in stacks), default=0)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """How many labels fit beside each other, at most four."""
    longest = max((len(line) for label in labels for line in label.split("\n")), default=1)
    return max(1, min(4, len(labels) or 1, int(width * _CHARACTERS / (longest + 8))))


def half(width: float) -> int:
    """Characters of a label of which two fit beside each other."""
    return int(width * _CHARACTERS / 2) - 8


def folded(text: str, characters: int) -> str:
    """Text in lines of so many characters."""
    return "\n".join(_wrapped(text, characters))


def heading(text: str, width: float) -> str:
    """The title of one of two panels beside each other, its lines folded to fit."""
    return "\n".join(folded(line, half(width) + 5) for line in text.split("\n"))


def _wrapped(text: str, characters: int) -> list[str]:
    return wrap(text, characters, break_on_hyphens=False)


def check_format(path: Path) -> None:
    """Refuse a file of which the ending is none of the formats.

    Raises:
        BadConfig: It is.
    """
    if path.suffix.lower() not in FORMATS:
        raise BadConfig(
            f"A figure cannot be written as '{path.name}'.",
            why=f"The ending of the file says its format, one of {', '.join(FORMATS)}.",
            mend=f"Write for example --out {path.stem or 'figure'}.pdf",
        )


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's ending; the same figure gives the same bytes.

    Raises:
        BadConfig: No such format.
        StoreError: The file cannot be written.
    """
    check_format(path)
    metadata = dict(FORMATS[path.suffix.lower()])
    format_ = path.suffix[1:].lower()
    with styled():
        atomic_write(
            path, lambda temporary: figure.savefig(temporary, format=format_, metadata=metadata)
        )
