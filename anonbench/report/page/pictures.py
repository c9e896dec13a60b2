"""Figures of the results as data URIs: those kinds of `anonbench plot` that the folder has."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from anonbench.errors import UserError
from anonbench.report.figures import KINDS, Kind
from anonbench.report.figures.source import Choice, open_source
from anonbench.report.page.view import Figure
from anonbench.results.record import Result

if TYPE_CHECKING:
    from anonbench.report.figures.drawing import Drawing

WIDTH = 18.0
"""Of a figure in cm; the page shows it at this width, or as wide as there is room."""

_FINE = re.compile(rb"(?<![\d.])[1-9]\d*\.\d{3,}")
"""Numbers of more than two decimals; those below 1 may be scales."""


def build(
    folder: Path, results: Iterable[Result], kinds: Iterable[str], report: Callable[[str], None]
) -> Iterator[Figure]:
    """A figure of each kind, or why the results have none.

    Args:
        folder: Where the results and their scores are.
        results: The results in it.
        kinds: Names in `KINDS`.
        report: Is told which figure is being drawn.
    """
    source = open_source(folder, results, Choice(width=WIDTH))
    for name in kinds:
        report(name)
        kind = KINDS[name]
        try:
            drawing = kind.draw(source)
        except UserError as error:
            reason = " ".join(filter(None, (error.what, error.why)))
            yield Figure(name, _title(kind), reason=reason)
        else:
            caption = (*drawing.caption, *(f"Note: {text}" for text in drawing.warnings))
            yield Figure(name, _title(kind), _svg(drawing), caption)


def _title(kind: Kind) -> str:
    return f"{kind.shows[0].upper()}{kind.shows[1:]}"


def _svg(drawing: Drawing) -> str:
    """As SVG in a data URI: an image of its own, so that no name in it meets another's."""
    from anonbench.report.figures import style

    with TemporaryDirectory() as folder:
        path = Path(folder, "figure.svg")
        style.save(drawing.figure, path)
        text = path.read_bytes()
    # Hundredths of a point are finer than any screen or printer, and half of the file.
    rounded = _FINE.sub(lambda match: b"%.2f" % float(match[0]), text)
    return f"data:image/svg+xml;base64,{b64encode(rounded).decode()}"
