"""Tables as a whole LaTeX document, ready to be compiled."""

from __future__ import annotations

from collections.abc import Sequence

from anonbench.report.latex import PACKAGES, escape, latex
from anonbench.report.model import Table

CLASSES = {
    "article": (
        r"\documentclass{article}",
        r"\usepackage[a4paper,margin=2cm]{geometry}",
        r"\usepackage{float}",
        r"\raggedbottom",
    ),
    "ieeetran": (r"\documentclass[journal]{IEEEtran}",),
}
"""Document classes: one column on A4, and two as in the journals of both papers."""


def document(tables: Sequence[Table], kind: str, title: str) -> str:
    """A document with a list of its tables, and then the tables.

    Args:
        tables: In order.
        kind: One of `CLASSES`. In one column tables stand where they are, as many on a page as
            fit; in two they float, each set begun on a page of its own.
        title: Stands above the list.
    """
    here = "H" if kind == "article" else ""
    between = "\n\\bigskip\n" if here else "\n\\clearpage\n"
    return "\n".join(
        (
            *CLASSES[kind],
            rf"\usepackage{{{PACKAGES}}}",
            r"\begin{document}",
            rf"\section*{{{escape(title)}}}",
            r"\listoftables",
            r"\clearpage",
            between.join(latex(table, here) for table in tables),
            r"\end{document}",
            "",
        )
    )
