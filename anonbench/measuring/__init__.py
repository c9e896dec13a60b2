"""What protocols share: settings read from a card, and metrics that speak as the card does."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from anonbench.cards import Card, ProtocolCard
from anonbench.errors import BadConfig
from anonbench.results.record import Interval, Metric


class Settings(BaseModel):
    """Settings of a plug-in: all that its card's config must have, and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SettingsT = TypeVar("SettingsT", bound=Settings)


def read_settings(kind: type[SettingsT], card: Card) -> SettingsT:
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


def metric(
    card: ProtocolCard,
    name: str,
    value: float,
    n: int,
    *,
    std: float | None = None,
    std_of: str = "",
    intervals: tuple[Interval, ...] = (),
    detail: Mapping[str, float] | None = None,
) -> Metric:
    """A metric with the unit and the direction that the card gives it."""
    spec = next(spec for spec in card.metrics if spec.name == name)
    return Metric(
        name=name,
        value=float(value),
        std=None if std is None else float(std),
        std_of="" if std is None else std_of,
        intervals=intervals,
        n=n,
        unit=spec.unit,
        direction=spec.direction,
        detail=dict(detail or {}),
    )


def no_metric(
    card: ProtocolCard, name: str, reason: str, detail: Mapping[str, float] | None = None
) -> Metric:
    """The same without a value, and why: printed as `n/a (reason)`."""
    spec = next(spec for spec in card.metrics if spec.name == name)
    return Metric(
        name=name,
        value=None,
        reason=reason,
        n=0,
        unit=spec.unit,
        direction=spec.direction,
        detail=dict(detail or {}),
    )
