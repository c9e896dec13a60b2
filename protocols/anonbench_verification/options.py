"""The settings of the verification protocols, checked before anything is computed."""

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anonbench.errors import BadConfig
from anonbench.interfaces import ProtocolCard
from anonbench.metrics.verification import Rule


class AllPairsOptions(BaseModel):
    """Settings of `lfw-tar-allpairs`.

    Attributes:
        far: The false accept rate at which TAR is taken.
        undetected: Whether a genuine pair whose published probe shows no face is judged on the
            fallback crop or counts as not accepted.
        bootstrap: Replicates behind the confidence interval.
        bootstrap_seed: Seed of the replicates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    far: float = Field(gt=0, lt=1)
    undetected: Literal["fallback", "reject"]
    bootstrap: int = Field(ge=100)
    bootstrap_seed: int = Field(ge=0)


class TarOptions(AllPairsOptions):
    """Settings of `lfw-tar`: also the rule of `anonbench.metrics.verification`."""

    rule: Rule


OptionsT = TypeVar("OptionsT", bound=AllPairsOptions)


def read_options(kind: type[OptionsT], card: ProtocolCard) -> OptionsT:
    """The settings in a card.

    Raises:
        BadConfig: One of them is missing, unknown or out of range.
    """
    try:
        return kind.model_validate(card.config)
    except ValidationError as error:
        problem = error.errors()[0]
        setting = problem["loc"][0]
        raise BadConfig(
            f"{card.name}:{setting}={card.config.get(str(setting))} is not allowed.",
            why=f"{problem['msg']}.",
            mend=f"See: anonbench info {card.name}",
        ) from error
