"""Parity fixtures on disk: `MODEL.json` beside `MODEL.npz`, read and checked."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveFloat, ValidationError, field_validator, model_validator

from anonbench.errors import BadData
from anonbench.testing.fill import TensorSpec

Array = NDArray[Any]

# One axis of an index: `3`, `:`, `1::4`.
_AXIS = r"\s*(?:-?\d+|(?:(?:-?\d+)?:){1,2}(?:-?\d+)?)\s*"
_EXCERPT = re.compile(rf"out\[({_AXIS}(?:,{_AXIS})*)\]")


class NetworkLayout(BaseModel):
    """What the official checkpoint holds for one network, and how to fill it.

    Attributes:
        state: The checkpoint's entries in their order.
        rules: Glob patterns with `mean`, `std` or `gain`, as `fill` takes them.
        constants: Values of tensors that are not filled.
        sha256: Digest of the filled state dict; None where the layout gives none.
    """

    state: list[TensorSpec]
    rules: list[tuple[str, dict[str, float]]] = []
    constants: dict[str, Any] = {}
    sha256: str | None = None


class ExpectedOutput(BaseModel):
    """How an output is to be compared.

    Attributes:
        tolerance: Largest allowed difference over `scale`, or `exact`.
        scale: The size of the output, its standard deviation as a rule.
        stored: `all`, or the excerpt that is stored, e.g. `out[:,:,1::4,2::4]`.
        full_shape: The shape before the excerpt is taken.
    """

    tolerance: PositiveFloat | Literal["exact"]
    scale: PositiveFloat | None = None
    stored: str = "all"
    full_shape: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _has_scale(self) -> "ExpectedOutput":
        if self.tolerance != "exact" and self.scale is None:
            raise ValueError("a tolerance needs a scale")
        return self

    @field_validator("stored")
    @classmethod
    def _is_excerpt(cls, stored: str) -> str:
        if stored != "all" and not _EXCERPT.fullmatch(stored):
            raise ValueError(f"'{stored}' is neither 'all' nor an index such as out[:,1::4]")
        return stored

    def excerpt(self, output: Array) -> Array:
        """The part of a whole output that the fixtures store.

        Raises:
            IndexError: The output has too few axes.
        """
        match = _EXCERPT.fullmatch(self.stored)
        if match is None:
            return output
        taken: Array = output[tuple(_index(axis) for axis in match[1].split(","))]
        return taken


class Layout(BaseModel):
    """`MODEL.json`: the official checkpoint of a model and what its fixtures mean.

    Attributes:
        model: Name of the model, under which its adapter is registered.
        seed: Seed of the filled weights.
        networks: Checkpoint layouts by the network's name.
        fixtures: The outputs by name, without `out.`.
    """

    model: str
    seed: int
    networks: dict[str, NetworkLayout]
    fixtures: dict[str, ExpectedOutput]

    @field_validator("fixtures", mode="before")
    @classmethod
    def _outputs(cls, fixtures: dict[str, Any]) -> dict[str, Any]:
        return {name[4:]: info for name, info in fixtures.items() if name.startswith("out.")}


@dataclass(frozen=True)
class Fixture:
    """One model's fixtures.

    Attributes:
        layout: What `MODEL.json` says.
        inputs: Inputs by name, as stored.
        outputs: Expected outputs (or excerpts of them) by name.
        folder: Where the files lie.
    """

    layout: Layout
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    folder: Path = Path()


def fixture_names(folder: Path) -> list[str]:
    """The names of all fixtures in a folder, sorted; one that lacks a file is among them.

    Raises:
        BadData: The folder does not exist or has no fixtures.
    """
    layouts = {path.stem for path in folder.glob("*.json") if _is_layout(path)}
    names = sorted(layouts | {path.stem for path in folder.glob("*.npz")})
    if not names:
        raise BadData(
            f"{folder} has no parity fixtures."
            if folder.is_dir()
            else f"There is no folder {folder}.",
            why="Each model needs a layout MODEL.json and its inputs and outputs MODEL.npz.",
            mend="Give the folder that holds these files: anonbench parity DIR",
        )
    return names


def read_layout(folder: Path, name: str) -> Layout:
    """Read `NAME.json`.

    Raises:
        BadData: It is missing, or not a layout.
    """
    path = folder / f"{name}.json"
    try:
        return Layout.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise BadData(f"{path} is no parity layout: {place}: {first['msg']}.") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}.") from error


def read_fixture(folder: Path, name: str) -> Fixture:
    """Read `NAME.json` and `NAME.npz`.

    Raises:
        BadData: One is missing or broken, or they describe different outputs.
    """
    layout = read_layout(folder, name)
    path = folder / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays: dict[str, Array] = dict(stored)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BadData(f"{path} cannot be read: {error}.") from error
    inputs = {key[3:]: array for key, array in arrays.items() if key.startswith("in.")}
    outputs = {key[4:]: array for key, array in arrays.items() if key.startswith("out.")}
    if not outputs or outputs.keys() != layout.fixtures.keys():
        differing = sorted(outputs.keys() ^ layout.fixtures.keys())
        raise BadData(
            f"{path} and {name}.json describe different outputs: {', '.join(differing)}."
            if differing
            else f"{path} holds no outputs to compare with."
        )
    return Fixture(layout, inputs, outputs, folder)


def _is_layout(path: Path) -> bool:
    """Whether a JSON file is meant for this runner; a folder may hold others."""
    try:
        read_layout(path.parent, path.stem)
    except BadData:
        return False
    return True


def _index(axis: str) -> slice | int:
    """`1::4` as a slice, `3` as an int."""
    parts = [int(part) if part.strip() else None for part in axis.split(":")]
    return slice(*parts) if parts[0] is None or len(parts) > 1 else parts[0]
