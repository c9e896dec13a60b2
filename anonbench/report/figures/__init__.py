"""From stored results to figures for a paper: one module per kind, one style for all.

Nothing here is imported with matplotlib before a figure is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anonbench.report.figures.drawing import Drawing
    from anonbench.report.figures.source import Source


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        where: `module:function` below this package; it takes a `Source` and gives a `Drawing`.
        shows: One line on what is shown.
        takes: Options of the command line that it alone, or with a few others, understands.
    """

    where: str
    shows: str
    takes: tuple[str, ...] = ()

    def draw(self, source: Source) -> Drawing:
        """The figure of what a source has.

        Raises:
            BadData: The source lacks what is drawn; the message names the protocol to run.
            BadConfig: An option that does not fit the source.
            MissingExtra: matplotlib is not installed.
        """
        from anonbench.report.figures.style import require_matplotlib

        require_matplotlib()
        module, _, function = self.where.partition(":")
        drawing: Drawing = getattr(import_module(f"{__name__}.{module}"), function)(source)
        return drawing


KINDS = {
    "ablation": Kind("ablation:draw", "bars per variant of a method (DR-DPGAN, Fig. 9)"),
    "bits": Kind("bits:draw", "bit error rate at each of the 32 positions of a hidden float"),
    "det": Kind("roc:draw_det", "false rejects over false accepts, with 95 % bands"),
    "identity-map": Kind(
        "maps:draw_identity_map",
        "people as originals, anonymized and recovered (DR-DPGAN, Fig. 8)",
        ("projection", "dims"),
    ),
    "keys": Kind("keys:draw", "change of the recovered image over wrong bits of the password"),
    "pareto": Kind("pareto:draw", "a privacy metric against a utility metric", ("x", "y")),
    "robustness": Kind("robustness:draw", "a metric over publication channels", ("y",)),
    "roc": Kind("roc:draw_roc", "true accepts over false accepts, with 95 % bands"),
    "tsne": Kind("maps:draw_tsne", "dummy identities of the same faces (G²Face, Fig. 7)"),
}


@dataclass(frozen=True)
class Sheet:
    """One of all figures that a folder of results can give.

    Attributes:
        name: Of its file.
        kind: One of `KINDS`.
        options: Those of the kind.
    """

    name: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)


SHEETS = (
    *(Sheet(name, name) for name in KINDS),
    Sheet("identity-map-3d", "identity-map", {"dims": 3}),
)
"""A figure of every kind, of the maps also one in three dimensions."""
