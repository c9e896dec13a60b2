"""What a user asks for, and one job of it: every card resolved, every hash known.

A job needs no torch, so a finished run is recognised by its id at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from anonbench import weights
from anonbench.cards import Card, JudgeCard, MethodCard, ProtocolCard
from anonbench.data.align import template
from anonbench.engine.channel import Channel
from anonbench.engine.environment import installed_version, usable_cores
from anonbench.engine.store import content_key
from anonbench.interfaces import Dataset
from anonbench.results.record import DatasetRef, JudgeRef, MethodRef, PluginRef, Setup

Overwrite = Literal["never", "missing", "always"]
Precision = Literal["fp32", "bf16", "auto"]
PRECISIONS: Mapping[Precision, Literal["float32", "bfloat16"]] = {
    "fp32": "float32",
    "bf16": "bfloat16",
}
"""What networks compute in, as results call it."""


class Cluster(BaseModel):
    """Where Ray computes, in place of this process.

    Attributes:
        address: `local` starts Ray here; `auto`, `HOST:PORT` or `ray://HOST:PORT` find a cluster.
        num_actors: Processes that hold networks; None: as many as there is room for.
        gpus_per_actor: Share of a GPU that each has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str = "local"
    num_actors: int | None = Field(default=None, ge=1)
    gpus_per_actor: float = Field(default=0, ge=0, le=1)


class RunConfig(BaseModel):
    """What a user asks for; the options of `anonbench run`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[str, ...] = Field(min_length=1)
    protocols: tuple[str, ...] = Field(min_length=1)
    suite: str = "demo"
    dataset: str = ""
    judges: tuple[str, ...] = ()
    detector: str = "dlib-hog"
    data_root: Path | None = None
    output: Path = Path("runs")
    seeds: tuple[int, ...] = (0,)
    limit: int | None = Field(default=None, ge=1)
    channel: str = "png"
    presentation: Literal["crop", "paste"] = "crop"
    undetected: Literal["fallback", "reject"] | None = None
    device: str = "auto"
    precision: Precision = "fp32"
    compile_networks: bool = False
    batch_size: int | None = Field(default=None, ge=1)
    workers: int = Field(default_factory=usable_cores, ge=1)
    cluster: Cluster | None = None
    overwrite: Overwrite = "missing"
    offline: bool = False


@dataclass(frozen=True)
class Job:
    """One protocol on one method with one seed, and everything that decides the outcome."""

    config: RunConfig
    protocol: ProtocolCard
    method: MethodCard
    dataset: Dataset
    judges: tuple[JudgeCard, ...]
    detector: JudgeCard
    seed: int

    @property
    def title(self) -> str:
        """What is shown while it runs."""
        seed = f", seed {self.seed}" if self.seed else ""
        return f"{self.method.name} · {self.protocol.name} · {self.dataset.card.name}{seed}"

    @property
    def lacks(self) -> str:
        """Why the method cannot serve the protocol, or nothing."""
        offers = {
            "reversible": self.method.reversible,
            "hidden_bits": self.method.hidden_bits > 0,
            "password_key": self.method.key == "password",
        }
        missing = [need for need in self.protocol.requires if not offers[need]]
        reasons = {
            "reversible": "not reversible",
            "hidden_bits": "hides no bits",
            "password_key": "its key is no secret",
        }
        return ", ".join(reasons[need] for need in missing)

    @property
    def scored_by(self) -> tuple[str, ...]:
        """Names of the judges, after an empty one where metrics need no judge."""
        unjudged = any(not spec.judged for spec in self.protocol.metrics)
        return (*([""] if unjudged else []), *(judge.name for judge in self.judges))

    def white_box(self, judge: JudgeCard) -> bool:
        """Whether the method was optimised against a judge."""
        named = judge.name in self.method.white_box_judges
        return named or self.method.family in judge.white_box_for

    # ------------------------------------------------------------------ references for the record
    @cached_property
    def protocol_ref(self) -> PluginRef:
        """The protocol as it goes into the record."""
        return _ref(self.protocol)

    @cached_property
    def method_ref(self) -> MethodRef:
        """The method as it goes into the record."""
        card = self.method
        ref = _ref(card) if self.protocol.weightless else method_ref(card)
        return MethodRef(
            **ref.model_dump(),
            title=card.title,
            family=card.family,
            template=card.template,
            reversible=card.reversible,
            needs_latent=card.needs_latent,
        )

    @cached_property
    def detector_ref(self) -> PluginRef:
        """The detector as it goes into the record."""
        return _judge_ref(self.detector)

    @cached_property
    def judge_refs(self) -> dict[str, JudgeRef]:
        """The judges as they go into the record, by name."""
        return {
            card.name: JudgeRef(
                **_judge_ref(card).model_dump(),
                title=card.title,
                template=card.template,
                training_data=card.training_data,
            )
            for card in self.judges
        }

    def ref_of(self, detector: JudgeCard) -> PluginRef:
        """The run's detector, or a judge, as it goes into keys."""
        return self.detector_ref if detector == self.detector else self.judge_refs[detector.name]

    @cached_property
    def dataset_ref(self) -> DatasetRef:
        """The dataset as it goes into the record."""
        manifest = self.dataset.manifest()
        return DatasetRef(
            **_ref(self.dataset.card).model_dump(),
            title=self.dataset.card.title,
            manifest=manifest.hash,
            files=len(manifest.files),
        )

    @cached_property
    def setup(self) -> Setup:
        """Everything else that decides the numbers."""
        names = {self.method.template, *(judge.template for judge in self.judges)}
        return Setup(
            seed=self.seed,
            limit=self.config.limit,
            channel=str(Channel.parse(self.config.channel)),
            presentation=self.config.presentation,
            recovery=self._recovery,
            precision="float32" if self.protocol.weightless else PRECISIONS[self.config.precision],
            compiled=self.config.compile_networks and not self.protocol.weightless,
            detector=self.detector_ref,
            templates={name: template(name).version for name in sorted(names) if name},
        )

    @property
    def _recovery(self) -> Literal["", "crop", "realigned"]:
        """How published images reach `recover` and `extract_bits`; follows from the rest."""
        if not (self.method.reversible or self.method.hidden_bits):
            return ""
        return "crop" if self.config.presentation == "crop" else "realigned"

    @property
    def numerics(self) -> dict[str, Any]:
        """How networks compute, as far as it is not as usual: a part of every key."""
        precision = self.setup.precision
        key: dict[str, Any] = {} if precision == "float32" else {"precision": precision}
        return key | {"compiled": True} if self.setup.compiled else key

    @cached_property
    def id(self) -> str:
        """Content key of the result: equal ids mean the same computation."""
        return content_key(
            {
                "suite": self.config.suite,
                "protocol": key_of(self.protocol_ref),
                "method": key_of(self.method_ref),
                "dataset": [key_of(self.dataset_ref), self.dataset_ref.manifest],
                "judges": [key_of(ref) for ref in self.judge_refs.values()],
                "setup": self.setup.model_dump(
                    mode="json", exclude={"detector", "recovery", "precision", "compiled"}
                )
                | self.numerics,
                "detector": key_of(self.detector_ref),
            }
        )


def key_of(ref: PluginRef) -> dict[str, Any]:
    """The part of a reference that decides outputs: no titles."""
    return ref.model_dump(mode="json", include={"name", "version", "config", "weights"})


def _ref(card: Card, names: Sequence[str] = ()) -> PluginRef:
    return PluginRef(
        name=card.name,
        version=card.version,
        config=card.config,
        weights={name: weights.record(name) for name in names},
    )


def method_ref(card: MethodCard) -> PluginRef:
    """Its weights by hash, also those in files of its package and of the user."""
    ref = _ref(card, card.weights)
    files = {file: weights.packaged(file) for file in card.files}
    files |= {key: Path(str(card.config[key])) for key in card.file_config if card.config[key]}
    digests = {name: weights.record_file(path) for name, path in files.items()}
    return ref.model_copy(update={"weights": {**ref.weights, **digests}})


def _judge_ref(card: JudgeCard) -> PluginRef:
    """Its weights by hash; those that a Python package carries by that package's version."""
    ref = _ref(card, card.weights)
    digests = {name: weights.record_file(path) for name, path in _user_files(card)}
    packages = {
        f"package {name}": found
        for alternatives in card.packages
        for name in alternatives.split("|")
        if (found := installed_version(name))
    }
    return ref.model_copy(update={"weights": {**ref.weights, **digests, **packages}})


def _user_files(card: JudgeCard) -> Iterator[tuple[str, Path]]:
    """The user's files by the parameter that names them; of a folder, all files in it."""
    for key, place in card.user_places().items():
        if place.is_dir():
            files = sorted(file for file in place.iterdir() if file.is_file())
            yield from ((f"{key}/{file.name}", file) for file in files)
        else:
            yield key, place
