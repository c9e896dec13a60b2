"""The result record: one JSON file per protocol, method, dataset and seed.

Everything that a reader needs to trust, repeat or refuse a number stands in the record. Fields
are only ever added, or migrated in `anonbench.results.store`, so every committed file keeps
loading.
"""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anonbench.cards import ConfigValue

SCHEMA_VERSION = 1


class _Record(BaseModel):
    # JSON has neither NaN nor infinity: a number that is none needs a reason instead.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(_Record):
    """An interval around a metric's value."""

    low: float
    high: float
    level: float = 0.95
    method: str = Field(description="How it was computed, e.g. 'bootstrap over identities, 1000'")


class Resampled(Interval):
    """An interval with the replicates behind it, which a file does not keep.

    What a protocol reduces again from stored scores has them: where two are `drawn` alike, their
    replicates belong together one by one; None is a draw without a value.
    """

    replicates: tuple[float | None, ...] = Field(exclude=True, repr=False)
    drawn: str = Field(exclude=True, description="Equal where each replicate drew the same people")
    people: int = Field(exclude=True, description="How many people were drawn from")


class Metric(_Record):
    """One measured number, or the reason why there is none."""

    name: str
    judge: str = ""
    value: float | None = Field(description="None only together with a reason")
    reason: str = Field(default="", description="Why there is no value; printed as n/a (reason)")
    std: float | None = None
    std_of: str = Field(default="", description="What the std runs over, e.g. 'folds, population'")
    intervals: tuple[Interval, ...] = ()
    n: int = Field(description="Number of samples or pairs behind the value")
    unit: str = ""
    direction: Literal["lower", "higher", "none"]
    white_box: bool = Field(default=False, description="The method was optimised against the judge")
    detail: dict[str, float] = Field(
        default_factory=dict, description="Numbers that belong beside it, e.g. the realised FAR"
    )

    @model_validator(mode="after")
    def _value_or_reason(self) -> Self:
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"metric '{self.name}' needs either a value or a reason")
        return self


class Counts(_Record):
    """Samples or pairs: how many were expected, used, and lost for which reason."""

    unit: str
    expected: int
    used: int
    failed: dict[str, int] = Field(default_factory=dict)
    detail: dict[str, int] = Field(
        default_factory=dict, description="Counts worth knowing, e.g. images without a face"
    )


class Remark(_Record):
    """What a method said about each image that it anonymized, summed up over the images."""

    name: str
    says: str = Field(description="What it means, in the words of the method's card")
    images: int = Field(description="Images that were published with the run's seed")
    mean: float = Field(description="Of a remark that is 0 or 1, the share of images with 1")
    low: float = Field(description="2.5th percentile of the images")
    high: float = Field(description="97.5th percentile of the images")
    min: float
    max: float

    def __str__(self) -> str:
        """One sentence: the share of images with 1, or the mean and most images' range; meaning."""
        if {self.min, self.max} <= {0.0, 1.0}:
            return f"{self.name} {self.mean:.1%} of {self.images:,} images ({self.says})"
        mean = f"{self.mean:.4g} on average of {self.images:,} images"
        most = f"95 % of them from {self.low:.4g} to {self.high:.4g}"
        return f"{self.name} {mean}, {most} ({self.says})"


class Reduction(_Record):
    """What a protocol derives from the scores of one judge."""

    metrics: tuple[Metric, ...]
    counts: Counts


class PluginRef(_Record):
    """The exact plug-in that ran."""

    name: str
    version: int
    config: dict[str, ConfigValue] = Field(default_factory=dict)
    weights: dict[str, str] = Field(
        default_factory=dict, description="artefact -> sha256, or package -> version"
    )


class MethodRef(PluginRef):
    """The method that was measured."""

    title: str
    family: str
    template: str
    reversible: bool
    needs_latent: bool = False


class JudgeRef(PluginRef):
    """A judge that measured."""

    title: str
    template: str = ""
    training_data: str


class DatasetRef(PluginRef):
    """The data: `manifest` is the hash over every file's path, size and sha256."""

    title: str
    manifest: str
    files: int


class Setup(_Record):
    """Everything else that decides the numbers."""

    seed: int
    limit: int | None = None
    channel: str = "png"
    presentation: Literal["crop", "paste"] = "crop"
    recovery: Literal["", "crop", "realigned"] = Field(
        default="",
        description="What `recover` and `extract_bits` got: the published crop, or a crop aligned "
        "anew from a face found in the published picture; empty for a method with neither",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="What networks computed in; bfloat16 is under autocast"
    )
    compiled: bool = Field(default=False, description="Whether torch compiled the networks")
    detector: PluginRef
    templates: dict[str, int] = Field(description="alignment name -> version")


class Environment(_Record):
    """Where it ran."""

    anonbench: str
    commit: str = ""
    dirty: bool | None = None
    python: str
    platform: str
    packages: dict[str, str]
    cpu: str
    cores: int
    threads: int
    device: str
    gpu: str = Field(default="", description="Name of the graphics processor, where it was used")
    precision: str = "float32"


class StageReport(_Record):
    """Time of one stage: `computed` items in `seconds`; the rest of `items` came from the store."""

    name: str
    seconds: float
    network_seconds: float = Field(default=0, description="Those inside networks and detectors")
    items: int
    computed: int
    failed: int = 0


class Result(_Record):
    """One run of a protocol on one method."""

    schema_version: int = SCHEMA_VERSION
    id: str = Field(description="Content key: equal ids mean the same computation")
    created: datetime
    status: Literal["complete", "partial", "failed"]
    error: str = ""
    warnings: tuple[str, ...] = ()
    suite: str
    protocol: PluginRef
    method: MethodRef
    dataset: DatasetRef
    judges: tuple[JudgeRef, ...]
    setup: Setup
    counts: dict[str, Counts] = Field(description="per judge")
    metrics: tuple[Metric, ...]
    remarks: tuple[Remark, ...] = ()
    scores: str = Field(default="", description="Stored scores, relative to this file")
    environment: Environment
    stages: tuple[StageReport, ...] = ()
    wall_seconds: float
    peak_memory_mb: float
