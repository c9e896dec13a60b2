"""The settings of `casia-accuracy`, checked before anything is computed."""

import re
from typing import Literal

from pydantic import Field, field_validator

from anonbench.measuring.images import BootstrapOptions

_EPOCHS = re.compile(r"(\d+(/\d+)*)?")


class AccuracyOptions(BootstrapOptions):
    """Settings of `casia-accuracy`; its card says what each means.

    The ones from `size` on are of the recipe `facenet`, `strength` is of `probe`.
    """

    people: int = Field(ge=0)
    images: int = Field(ge=2)
    test_share: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)
    recipe: Literal["probe", "facenet"]
    strength: float = Field(gt=0)
    start: Literal["scratch", "judge"]
    size: int = Field(ge=75)
    epochs: int = Field(ge=1)
    batch: int = Field(ge=2)
    optimizer: Literal["adam", "sgd"]
    rate: float = Field(gt=0)
    drops: str
    weight_decay: float = Field(ge=0)
    dropout: float = Field(ge=0, lt=1)
    ema: float = Field(ge=0, lt=1)
    flip: bool
    precision: Literal["float32", "bfloat16"]

    @field_validator("people")
    @classmethod
    def _several(cls, people: int) -> int:
        if people == 1:
            raise ValueError("it takes two people, or 0 for all")
        return people

    @field_validator("drops")
    @classmethod
    def _readable(cls, drops: str) -> str:
        if not _EPOCHS.fullmatch(drops):
            raise ValueError("write epochs with / between them, e.g. 60/80, or nothing")
        return drops

    @property
    def judged(self) -> bool:
        """Whether the classifier stands on a judge; else it is trained from nothing."""
        return self.recipe == "probe" or self.start == "judge"

    @property
    def held_out(self) -> int:
        """Images of each person that are tested; at least one, and one is left to learn from."""
        return min(max(round(self.images * self.test_share), 1), self.images - 1)

    def rate_at(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0: a tenth from each drop on."""
        drops = [int(drop) for drop in self.drops.split("/") if drop]
        return self.rate * 0.1 ** sum(drop <= epoch for drop in drops)
