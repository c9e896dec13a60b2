"""The ablation of Table VI: seven models, each trained with some of three parts.

- GENP, the generative prior: the decoder starts from a StyleGAN2 trained on faces. Without, it
  starts from scratch; the network is the same.
- GEOP, the geometric prior: coefficients join the identity in Eq. 2. Without, there are none to
  join: the style mappers' input is the identity alone.
- IFF, the identity-aware fusion: features of the original are blended in under a mask. Without,
  there are neither face encoder nor masks. The password is still added, the last term of Eq. 8:
  the article reports recovery for rows without IFF, which is possible only if something is hidden.
"""

from anonbench.errors import BadConfig
from anonbench_g2face.config import CODE, Variant

PARTS = {"GENP": "generative_prior", "GEOP": "geometric_prior", "IFF": "fusion"}

ROWS = ("GENP", "GEOP", "IFF", "GEOP+IFF", "GENP+IFF", "GENP+GEOP", "GENP+GEOP+IFF")
"""In the order of the table."""


def ablated(variant: Variant, row: str) -> Variant:
    """A variant with only those parts that a row of Table VI names.

    Args:
        variant: Whose other options stay.
        row: For example `GENP+IFF`.

    Raises:
        BadConfig: Table VI has no such row.
    """
    if row not in ROWS:
        raise BadConfig(f"Table VI has no row '{row}'.", why=f"Its rows: {', '.join(ROWS)}.")
    present = row.split("+")
    return variant.model_copy(update={field: part in present for part, field in PARTS.items()})


ABLATIONS: dict[str, Variant] = {row: ablated(CODE, row) for row in ROWS}
