"""Faces as methods leave them, for a page that shows faces."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO

from anonbench import registry
from anonbench.errors import UserError
from anonbench.report.cells import REFERENCE
from anonbench.report.grid import Column, Pixels
from anonbench.report.page.provenance import spec
from anonbench.report.page.view import Faces
from anonbench.results.record import Result

SUITE = "demo"
"""Its faces are shown."""

SIDE, QUALITY = 160, 90


def build(results: Iterable[Result], draw: Callable[[str], Sequence[Column]]) -> Faces:
    """The columns of `anonbench grid` for the methods of results.

    Args:
        results: What was measured.
        draw: Gives the columns of one method, written as on the command line; the first one are
            the originals. A UserError of it is told on the page.
    """
    columns: list[Column] = []
    failures: list[tuple[str, str]] = []
    for method in methods(results):
        try:
            found = draw(method)
        except UserError as error:
            failures.append((method, str(error)))
        else:
            columns += found[1:] if columns else found
    people = zip(*(column.faces for column in columns), strict=True)
    return Faces(
        titles=tuple(column.title for column in columns),
        rows=tuple(tuple(_uri(face) for face in row) for row in people),
        failures=tuple(failures),
    )


def methods(results: Iterable[Result]) -> list[str]:
    """The methods that were run on images, as on the command line; variants of one are left out."""
    return list(
        dict.fromkeys(
            spec(registry.methods, result.method, SUITE)
            for result in results
            if result.dataset.files
            and result.method.name != REFERENCE
            and not _compares_variants(result.protocol.name)
        )
    )


def _compares_variants(protocol: str) -> bool:
    card = registry.protocols.installed(protocol)
    return card is not None and card.variants


def _uri(face: Pixels | None) -> str:
    if face is None:
        return ""
    from PIL import Image

    buffer = BytesIO()
    scaled = Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    scaled.save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"
