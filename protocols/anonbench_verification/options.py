"""The settings of the verification protocols, checked before anything is computed."""

from typing import Literal

from pydantic import Field

from anonbench.measuring import Settings
from anonbench.metrics.verification import Rule


class AllPairsOptions(Settings):
    """Settings of `lfw-tar-allpairs`.

    Attributes:
        far: The false accept rate at which TAR is taken.
        undetected: Whether a genuine pair whose published (or recovered) probe shows no face is
            judged on the fallback crop or counts as not accepted.
        bootstrap: Replicates behind the confidence interval.
        bootstrap_seed: Seed of the replicates.
    """

    far: float = Field(gt=0, lt=1)
    undetected: Literal["fallback", "reject"]
    bootstrap: int = Field(ge=100)
    bootstrap_seed: int = Field(ge=0)


class TarOptions(AllPairsOptions):
    """Settings of `lfw-tar`: also the rule of `anonbench.metrics.verification`."""

    rule: Rule
