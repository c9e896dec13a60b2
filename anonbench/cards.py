"""Cards: what a plug-in says about itself, as data.

They are pydantic models read from a `card.toml`; they describe a plug-in without loading it, so
`anonbench list` needs neither torch nor weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from anonbench.errors import BadConfig, MissingArtefact
from anonbench.values import HiddenFormat

ConfigValue = bool | int | float | str
JudgeKind = Literal[
    "recognition",
    "detection",
    "landmarks",
    "geometry",
    "pose",
    "expression",
    "perceptual",
    "features",
]


class Card(BaseModel):
    """What every plug-in says about itself.

    Attributes:
        name: The registered name.
        version: Bumped whenever the same input may give another output; part of every key.
        title: Name as printed in tables.
        summary: One sentence for `anonbench list`.
        licence: SPDX identifier or the publisher's words.
        research_only: Whether the licence forbids other than research use.
        citation: How to cite it.
        extras: Extras of anonbench that it needs (`torch`, `faces` ...).
        config: Parameters with their default values; a user changes one with `NAME:key=value`.
        suite_config: Default values that are others in a suite, by the suite's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = 1
    title: str
    summary: str
    licence: str
    research_only: bool = False
    citation: str = ""
    extras: tuple[str, ...] = ("torch",)
    config: dict[str, ConfigValue] = Field(default_factory=dict)
    suite_config: dict[str, dict[str, ConfigValue]] = Field(default_factory=dict)

    def configured(self, config: Mapping[str, ConfigValue]) -> Self:
        """This card with these parameters."""
        return self.model_copy(update={"config": dict(config)})


class CheckpointCard(BaseModel):
    """What a method's card says where one of its checkpoints is chosen; see `MethodCard`.

    Attributes:
        hidden_format: As the method's where None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str
    hidden_bits: int = 0
    hidden_format: HiddenFormat | None = None
    weights: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    white_box_judges: tuple[str, ...] = ()


class MethodCard(Card):
    """Card of an anonymization method.

    Attributes:
        family: Name shared by the variants of one method (`pixelate-light` is a `pixelate`).
        paper: Where the method was published.
        year: Year of publication.
        template: Alignment that the method works on, a name of `anonbench.data.align`.
        reversible: Whether the method has `recover`.
        key: What the per-sample key means: nothing, a seed of public randomness, or a secret.
        password_bits: Bits of that secret that can be got wrong one by one (`TakesWrongBits`), 0
            where the method does not say.
        hidden_bits: Number of bits hidden in an image, 0 for none.
        hidden_format: What they stand for.
        remarks: What the method says about each image that it anonymizes (`Remarking`): names of
            numbers, and what they mean. Their names are part of what published images are kept
            under.
        needs_latent: Whether recovery needs more than the published image and the key
            (`KeepsLatent`). Such a method makes no remarks.
        weights: Names of catalogue artefacts.
        files: Weights that come with the method, as `PACKAGE/FILE`.
        file_config: Parameters that name a file of the user's, empty for none, and which of the
            weights and files above such a file takes the place of.
        batch: Images at a time at which it is fastest where the user names no batch size; None
            where the engine's own does as well. It decides no result.
        white_box_judges: Judges that the method's training or inference used.
        checkpoints: What is said otherwise where the parameter `checkpoint` has this value.
        variants: Parameters of each variant that the protocol `ablation` compares, by its title.
        claims: What the authors claim, in their words or numbers.
    """

    family: str
    paper: str
    year: int | None = None
    template: str = "ffhq-256"
    reversible: bool = False
    key: Literal["none", "seed", "password"] = "none"
    password_bits: int = 0
    hidden_bits: int = 0
    hidden_format: HiddenFormat = "bits"
    remarks: dict[str, str] = Field(default_factory=dict)
    needs_latent: bool = False
    weights: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    file_config: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    batch: PositiveInt | None = None
    white_box_judges: tuple[str, ...] = ()
    checkpoints: dict[str, CheckpointCard] = Field(default_factory=dict)
    variants: dict[str, dict[str, ConfigValue]] = Field(default_factory=dict)
    claims: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.needs_latent and not self.reversible:
            raise ValueError("needs_latent is for methods with reversible = true")
        if self.needs_latent and self.remarks:
            raise ValueError("a method with needs_latent cannot make remarks")
        if self.password_bits and not (self.reversible and self.key == "password"):
            needed = "reversible = true and key = 'password'"
            raise ValueError(f"password_bits is for methods with {needed}")
        return self

    def configured(self, config: Mapping[str, ConfigValue]) -> Self:
        """This card with these parameters, and what the chosen checkpoint says.

        Raises:
            BadConfig: The method has no such checkpoint.
        """
        card = super().configured(config)
        if self.checkpoints:
            said = self._checkpoint(config.get("checkpoint"))
            card = card.model_copy(update={k: v for k, v in said if v is not None})
        replaced = {n for key, names in self.file_config.items() if config[key] for n in names}
        kept = {
            field: tuple(name for name in getattr(card, field) if name not in replaced)
            for field in ("weights", "files")
        }
        return card.model_copy(update=kept)

    def _checkpoint(self, name: ConfigValue | None) -> CheckpointCard:
        if name not in self.checkpoints:
            known = list(self.checkpoints)
            raise BadConfig(
                f"{self.name} has no checkpoint '{name}'.",
                why=f"Its checkpoints are: {', '.join(known)}.",
                mend=f"Write {self.name}:checkpoint={known[0]}",
            )
        return self.checkpoints[str(name)]


class JudgeCard(Card):
    """Card of a judge, a pretrained model that measures.

    Attributes:
        kind: What it measures.
        template: Alignment of its input; empty for a detector, which sees the whole image, and
            for a judge that sees crops as the method has them.
        dim: Length of a recogniser's embedding, 0 for other judges.
        traits: What a detector or a describing judge says of a face, and how many numbers that
            takes: `box` (4: left, top, right, bottom in pixels), `points` (x, y of each landmark
            in pixels), `mesh` (x, y, z of each vertex, in any unit), `shape`, `expression`,
            `pose` (3: yaw, pitch, roll in degrees), `features`.
        training_data: What it was trained on.
        weights: Names of catalogue artefacts.
        packages: Python packages that carry weights of it; their versions stand in for a hash.
            `A|B` means whichever is installed.
        file_config: Parameters that name a file or a folder of the user's with weights, empty for
            none, and the folder that it is looked for in (`~` is the user's own; empty for the
            working folder). A judge with such parameters and without `weights` needs one of them.
        batch: Images at a time at which it is fastest where the user names no batch size; None
            where the engine's own does as well. It decides no result.
        white_box_for: Method families that were trained or optimised against this judge.
    """

    kind: JudgeKind
    template: str = ""
    dim: int = 0
    traits: dict[str, int] = Field(default_factory=dict)
    training_data: str
    weights: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    file_config: dict[str, str] = Field(default_factory=dict)
    batch: PositiveInt | None = None
    white_box_for: tuple[str, ...] = ()

    def user_places(self) -> dict[str, Path]:
        """The user's files and folders that its parameters name, by parameter.

        Raises:
            BadConfig: It needs one, and none is named.
            MissingArtefact: One of them does not exist.
        """
        named = {key: str(self.config[key]) for key in self.file_config if self.config[key]}
        if self.file_config and not named and not self.weights:
            choices = " or ".join(f"{self.name}:{key}=..." for key in self.file_config)
            raise BadConfig(
                f"The judge '{self.name}' has no weights of its own.", mend=f"Write {choices}"
            )
        places = {
            key: Path(self.file_config[key], value).expanduser() for key, value in named.items()
        }
        for key, place in places.items():
            if not place.exists():
                raise MissingArtefact(
                    f"{self.name}:{key}={named[key]} is not on this machine.",
                    why=f"There is no {place}.",
                    mend=f"See: anonbench info {self.name}",
                )
        return places


class DatasetCard(Card):
    """Card of a dataset.

    Attributes:
        artefact: Catalogue artefact that `anonbench fetch` brings, empty where a user must
            bring the data.
        layout: Where the files stand below `--data-root`, in words; empty for no files at all.
        fallback_box: Face box used for an original in which no face is found, as fractions
            `(left, top, right, bottom)` of width and height.
        upsample: How often the image is doubled before HOG detection.
        aligned: Template family by which whole images are aligned already, such as `ffhq`; a crop
            for a template of that family is the whole image, at that size.
    """

    extras: tuple[str, ...] = ()
    artefact: str = ""
    layout: str
    fallback_box: tuple[float, float, float, float] = (0.2, 0.2, 0.8, 0.8)
    upsample: int = 1
    aligned: Literal["", "ffhq"] = ""


class MetricSpec(BaseModel):
    """What a metric is, whatever its value: name, unit, and which way is better.

    Attributes:
        name: Its name in results.
        title: Its name in tables.
        unit: Unit, empty for a plain number.
        direction: Which way is better.
        judged: Whether a judge measures it; False for one that needs none.
        kinds: Kinds of the judges that measure it; empty for all that the protocol takes.
        headline: Whether a table shows it unasked, where there is a value of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    unit: str = ""
    direction: Literal["lower", "higher", "none"]
    judged: bool = True
    kinds: tuple[JudgeKind, ...] = ()
    headline: bool = False


class SuiteCard(BaseModel):
    """The dataset and the judges with which a suite runs a protocol.

    The dataset `none` has no images; it is for protocols that need none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    judges: tuple[str, ...] = ()


class ProtocolCard(Card):
    """Card of a protocol: what is measured, on which data, how.

    Attributes:
        requires: What a method must offer: `reversible`, `hidden_bits`, `password_key` (its key is
            a password).
        weightless: Whether it can be measured without the method's weights.
        variants: Whether it is run on each of a method's variants in place of the method.
        judge_kinds: The kinds of judges that it takes; of those that `--judge` names, they replace
            its suite's.
        suites: Dataset and judges per suite (`demo`, `paper`).
        metrics: What it reports.
        published: Table ids in results/published that this protocol reproduces.
    """

    requires: tuple[Literal["reversible", "hidden_bits", "password_key"], ...] = ()
    weightless: bool = False
    variants: bool = False
    judge_kinds: tuple[JudgeKind, ...] = ("recognition",)
    suites: dict[str, SuiteCard]
    metrics: tuple[MetricSpec, ...]
    published: tuple[str, ...] = ()
