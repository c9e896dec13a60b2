"""The parameters of FALCO."""

from typing import Literal

from pydantic import Field

from anonbench.measuring import Settings

Ranges = Literal["authors", "trained"]
"""In which ranges networks get pixels: as in the authors' code, or as they were trained."""

Scaling = Literal["clamp", "adaptive"]
"""What becomes of generated values beyond `[0, 1]`: cut off, or each image stretched to fit."""


class FalcoSettings(Settings):
    """All that the card's config has.

    Attributes:
        checkpoint: Size of the published crop; the networks are the same.
        margin: m, the cosine to the original identity that is aimed at; 0 in the article.
        steps: Of the optimisation.
        pool: Number of fakes among which the most similar one is looked for.
        pool_seed: Which fakes these are.
        truncation: How far a fake's style goes from the mean style, in parts of how far it would.
        ranges: Of pixels that IR-SE50 and FaRL get.
        scaling: Of the published image.
    """

    checkpoint: str
    margin: float = Field(ge=0, le=1)
    steps: int = Field(ge=1)
    pool: int = Field(ge=1)
    pool_seed: int = Field(ge=0)
    truncation: float = Field(gt=0, le=1)
    ranges: Ranges
    scaling: Scaling
