"""The ablation of Table 4: seven models, each trained with some of three parts.

- FIG, "the control part of F_id in the FIG": the fake identity is brought into its range of
  cosines to the original one (Algorithm 1). Without, it is what the perceptron makes of noise.
- 3DPC, the 3D prior constraints: coefficients join the identity in Eq. 1. Without, there are none
  to join: the style mappers' input is the identity alone.
- E_G, "the control part of E_G in the IMA": features of the original are blended in under a mask
  (Eqs. 6 and 7). Without, there are neither encoder nor masks. The password is still added, the
  last term of Eq. 7: the article reports recovery for rows without E_G, which is possible only if
  something is hidden.
"""

from typing import Any

from anonbench.generative.settings import Table


class Parts(Table):
    """Which of the three parts a model has.

    Attributes:
        guided: FIG: F_id controls the fake identity generator.
        geometric_prior: 3DPC: steer the decoder by 3DMM coefficients.
        fusion: E_G: blend in the features of the original face.
    """

    guided: bool = True
    geometric_prior: bool = True
    fusion: bool = True


PARTS = {"FIG": "guided", "3DPC": "geometric_prior", "E_G": "fusion"}

ROWS = ("FIG", "3DPC", "E_G", "FIG+3DPC", "FIG+E_G", "3DPC+E_G", "FIG+3DPC+E_G")
"""Experiments 1 to 7 in the order of the table."""


def row(which: str | int) -> Parts:
    """The parts that a row of Table 4 ticks.

    Args:
        which: Its number, or its parts as in `ROWS`.

    Raises:
        ValueError: Table 4 has no such row.
    """
    numbers = range(1, len(ROWS) + 1)
    name = ROWS[which - 1] if isinstance(which, int) and which in numbers else which
    if name not in ROWS:
        raise ValueError(f"Table 4 has no row '{which}', but 1 to 7: {', '.join(ROWS)}")
    present = str(name).split("+")
    return Parts.model_validate({field: part in present for part, field in PARTS.items()})


def by_row(parts: Any) -> Any:
    """Parts for the row that names them; whatever else is given is left to pydantic."""
    named = isinstance(parts, (str, int)) and not isinstance(parts, bool)
    return row(parts) if named else parts
