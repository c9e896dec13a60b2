"""A configuration of a training: one TOML file with the tables run, data, method and training."""

import inspect
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anonbench.errors import BadConfig
from anonbench.registry import trainings
from anonbench.training.crops import Source

HARMLESS = frozenset(
    f"run.{key}" for key in ("steps", "checkpoint_every", "preview_every", "log_every", "keep")
)
"""What may change from one part of a run to the next: it has no effect on what a step does."""

M = TypeVar("M", bound=BaseModel)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(_Table):
    """Table `[run]`: what the loop does.

    Attributes:
        steps: Iterations in all.
        batch: Images per iteration, over all processes.
        seed: Of initial weights, order, flips and all that a step draws.
        precision: `bf16` runs networks under autocast, with float32 weights and optimizers.
        checkpoint_every: Steps between checkpoints; that many are lost at most.
        preview_every: Steps between sample grids.
        log_every: Steps that a line of the log averages.
        keep: How many checkpoints are kept, the last ones.
        ema: Decay of the exponential moving average of all modules; 0 is none.
        ema_start: Completed steps at which the average starts.
    """

    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    seed: int = Field(0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpoint_every: int = Field(1000, ge=1)
    preview_every: int = Field(1000, ge=1)
    log_every: int = Field(50, ge=1)
    keep: int = Field(3, ge=1)
    ema: float = Field(0.0, ge=0.0, lt=1.0)
    ema_start: int = Field(0, ge=0)


class Data(_Table):
    """Table `[data]`: what is trained on.

    Attributes:
        template: Alignment of the crops, e.g. `ffhq-128`.
        sources: Tables `[[data.sources]]`.
    """

    template: str
    sources: tuple[Source, ...] = Field(min_length=1)


class _Method(_Table):
    """Table `[method]`."""

    name: str


class _File(_Table):
    run: Run
    data: Data
    method: _Method
    training: dict[str, Any] = {}


@dataclass(frozen=True)
class Config:
    """A whole configuration.

    Attributes:
        run: What the loop does.
        data: What is trained on.
        method: Registered name of what is trained.
        training: That method's own settings.
    """

    run: Run
    data: Data
    method: str
    training: BaseModel

    def plain(self) -> dict[str, Any]:
        """All values, defaults too, as they are kept in checkpoints."""
        return {
            "run": self.run.model_dump(mode="json"),
            "data": self.data.model_dump(mode="json"),
            "method": {"name": self.method},
            "training": self.training.model_dump(mode="json"),
        }


def load_config(method: str, spec: str, *, steps: int | None = None) -> Config:
    """Read and validate a configuration.

    Args:
        method: Registered name of what shall be trained.
        spec: Path of a TOML file, or the name of one that comes with the method, e.g. `demo`.
        steps: Replaces `run.steps`.

    Raises:
        UnknownName: Nobody registered a training of that name.
        BadConfig: The file is missing, for another method, or a key in it is not right.
    """
    training = trainings.load(method)
    path = _find(training, method, spec)
    tables = _read(path)
    if steps is not None and isinstance(tables.get("run"), dict):
        tables["run"]["steps"] = steps
    file = _validated(_File, tables, path)
    if file.method.name != method:
        raise BadConfig(
            f"{path}: method.name is '{file.method.name}', but '{method}' shall be trained.",
            mend=f"Run: anonbench train {file.method.name} --config {path}",
        )
    settings = _validated(training.Settings, file.training, path, "training")
    return Config(file.run, file.data, method, settings)


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Dotted keys whose values differ between two plain configurations, but for harmless ones."""
    a, b = _flat(ours), _flat(theirs)
    keys = sorted((a.keys() | b.keys()) - HARMLESS)
    return [key for key in keys if key not in a or key not in b or a[key] != b[key]]


def _flat(tables: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        name = f"{above}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _find(training: Any, method: str, spec: str) -> Path:
    path = Path(spec).expanduser()
    if path.suffix == ".toml":
        if not path.is_file():
            raise BadConfig(f"There is no configuration file {path}.")
        return path
    folder = Path(inspect.getfile(training)).parent
    packaged = {file.stem: file for file in folder.glob("*.toml") if file.stem != "card"}
    if spec not in packaged:
        raise BadConfig(
            f"The method '{method}' comes with no configuration '{spec}'.",
            why=f"It comes with: {', '.join(sorted(packaged)) or 'none'}.",
            mend="Give one of these names, or the path of a file that ends in .toml.",
        )
    return packaged[spec]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} is not valid TOML: {error}.", mend="Mend that file.") from error


def _validated(model: type[M], table: dict[str, Any], path: Path, above: str = "") -> M:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        problems = [
            f"{'.'.join(filter(None, (above, *map(str, e['loc']))))}: {e['msg']}"
            for e in error.errors()
        ]
        raise BadConfig(f"{path}: {'; '.join(problems)}.", mend="Mend that file.") from error
