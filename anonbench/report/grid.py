"""A grid of faces: one row per person, one column per kind of image, titles above."""

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

_GAP = 4
_TITLE = 28
_FONT = 14


@dataclass(frozen=True)
class Column:
    """Faces of one kind.

    Attributes:
        title: What they are.
        faces: One `[S, S, 3]` uint8 per row; None where there is none.
    """

    title: str
    faces: Sequence[Pixels | None]


def draw_grid(columns: Sequence[Column], side: int) -> Image.Image:
    """Columns side by side, every face scaled to a square.

    Args:
        columns: All with the same number of faces.
        side: Of a square in pixels.
    """
    rows = len(columns[0].faces)
    step = side + _GAP
    size = (step * len(columns) + _GAP, _TITLE + step * rows + _GAP)
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    for x, column in enumerate(columns):
        left = _GAP + x * step
        title = normalize("NFKC", column.title)  # the font has no superscripts
        pen.text((left + side / 2, _TITLE / 2), title, "black", font, anchor="mm")
        for y, face in enumerate(column.faces):
            top = _TITLE + _GAP + y * step
            if face is None:
                pen.text((left + side / 2, top + side / 2), "none", "grey", font, anchor="mm")
            else:
                scaled = Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS)
                sheet.paste(scaled, (left, top))
    return sheet
