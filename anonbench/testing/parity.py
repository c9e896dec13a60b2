"""Does a network compute exactly what its authors' code computes? `anonbench parity DIR`.

A folder of parity fixtures holds two files for each model: `MODEL.json`, the layout of the
official checkpoint (keys, shapes, fill rules, the seed) with a description of the fixtures, and
`MODEL.npz`, inputs (`in.NAME`) with the outputs (`out.NAME`) that the original code gave for
them. The weights are rebuilt from the layout by `anonbench.testing.fill`.

The network of the suite comes in through an adapter, a function registered in the entry-point
group `anonbench.parity` under the model's name:

    [project.entry-points."anonbench.parity"]
    arcface_r50 = "anonbench.testing.adapters.arcface_r50:run"

It gets the filled state dicts by network name and the inputs by name (without `in.`; tensors as
stored, so images are uint8 NCHW) and returns outputs by name (without `out.`), whole: the runner
takes the stored excerpt. It runs without gradients, on the CPU:

    def run(states: States, inputs: Inputs) -> Outputs:
        net = IResNet().eval()
        load_state(net, states["backbone"], source="The layout of arcface_r50")
        return {"embedding112": net(unit(inputs["images112"]))}

State dicts are filled when they are asked for; an adapter that needs one network pays for one.
Where the fixtures come from a publisher's own file, `states.original(ARTEFACT)` finds it.
Outputs that the fixtures do not have are ignored, outputs that the adapter leaves out are misses.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from anonbench import weights
from anonbench.errors import BadData, UserError
from anonbench.testing.fill import digest, fill
from anonbench.testing.fixtures import (
    Array,
    ExpectedOutput,
    Fixture,
    Layout,
    read_fixture,
    read_layout,
)

States: TypeAlias = "FilledStates"
Inputs = Mapping[str, Tensor]
Outputs = Mapping[str, Tensor]
Adapter: TypeAlias = "Callable[[FilledStates, Inputs], Outputs]"

GROUP = "anonbench.parity"


def unit(images: Tensor) -> Tensor:
    """uint8 images as float32 in `[0, 1]`."""
    return images.to(torch.float32) / 255


def signed(images: Tensor) -> Tensor:
    """uint8 images as float32 in `[-1, 1]`, in the two steps that the original pipelines take."""
    return (unit(images) - 0.5) / 0.5


@dataclass(frozen=True)
class Comparison:
    """One output beside what the original code gave.

    Attributes:
        output: Its name.
        error: Largest absolute difference, over the output's scale where the tolerance is a
            number; infinite where the output is missing, misshapen or not finite.
        tolerance: What `error` must stay below; `exact` means zero.
        detail: Why there is nothing to compare; empty otherwise.
    """

    output: str
    error: float
    tolerance: float | Literal["exact"]
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the output is the original's within the tolerance."""
        return self.error == 0 if self.tolerance == "exact" else self.error < self.tolerance

    @property
    def severity(self) -> float:
        """The error as a share of what is allowed."""
        if self.tolerance != "exact":
            return self.error / self.tolerance
        return 0.0 if self.passed else math.inf


@dataclass(frozen=True)
class Outcome:
    """What a model's fixtures say about the suite's network.

    Attributes:
        name: Name of the fixture's files.
        implemented: Whether an adapter is registered for the model.
        comparisons: One for each stored output.
        problem: Why nothing could be compared, e.g. keys that differ; empty otherwise.
        seconds: What filling, loading and computing took.
    """

    name: str
    implemented: bool = True
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> Literal["passed", "failed", "not implemented"]:
        """One phrase for tables."""
        if not self.implemented:
            return "not implemented"
        good = self.comparisons and not self.problem and all(c.passed for c in self.comparisons)
        return "passed" if good else "failed"

    @property
    def worst(self) -> Comparison | None:
        """The output that comes nearest to its tolerance, or exceeds it most."""
        return max(self.comparisons, key=lambda c: c.severity, default=None)


def check_parity(folder: Path, name: str) -> Outcome:
    """Run the suite's network on the fixtures of one model.

    Args:
        folder: Where `NAME.json` and `NAME.npz` lie.
        name: One of `fixture_names(folder)`.

    Returns:
        The outcome; whatever goes wrong with the files, the layout or the adapter is its
        `problem`, so that one model does not keep the others from being checked.
    """
    start = time.perf_counter()
    try:
        point = _entry_point(read_layout(folder, name).model)
        if point is None:
            return Outcome(name, implemented=False)
        comparisons = compare_all(read_fixture(folder, name), point.load())
    except UserError as error:
        return Outcome(name, problem=str(error))
    except Exception as error:  # an adapter may raise anything, and may be a stranger's
        return Outcome(name, problem=f"The adapter raised {type(error).__name__}: {error}")
    return Outcome(name, comparisons=comparisons, seconds=time.perf_counter() - start)


def compare_all(fixture: Fixture, adapter: Adapter) -> tuple[Comparison, ...]:
    """Give an adapter the weights and inputs of a fixture and compare all stored outputs.

    Raises:
        BadData: The weights cannot be rebuilt as the layout says, or do not fit the network.
    """
    inputs = _Inputs((key, torch.from_numpy(array)) for key, array in fixture.inputs.items())
    with torch.no_grad():
        found = adapter(FilledStates(fixture.layout, fixture.folder), inputs)
    return tuple(
        _compare(name, fixture.layout.fixtures[name], found.get(name), expected)
        for name, expected in fixture.outputs.items()
    )


class FilledStates(Mapping[str, dict[str, Tensor]]):
    """The state dicts of a layout, each filled anew whenever it is asked for.

    Args:
        layout: What the official checkpoint holds.
        folder: Where the fixtures lie; a folder `weights` beside it may have publishers' files.
    """

    def __init__(self, layout: Layout, folder: Path = Path()) -> None:
        self._layout, self._folder = layout, folder

    def __getitem__(self, network: str) -> dict[str, Tensor]:
        """The filled state dict of a network.

        Raises:
            BadData: The layout has no such network, or gives another digest than the fill has.
        """
        if network not in self._layout.networks:
            raise BadData(
                f"The layout of {self._layout.model} has no network '{network}'.",
                why=f"It has: {', '.join(self) or 'none'}.",
            )
        spec = self._layout.networks[network]
        state = fill(spec.state, self._layout.seed, spec.rules, spec.constants)
        if spec.sha256 not in (None, digest(state)):
            raise BadData(
                f"The filled weights of {self._layout.model}/{network} have the digest "
                f"{digest(state)}, the layout gives {spec.sha256}.",
                why="Its keys, shapes, rules or seed are not those that the fixtures come from.",
            )
        return {key: torch.from_numpy(array) for key, array in state.items()}

    def original(self, artefact: str) -> Path:
        """A publisher's own file, from the cache or from a folder `weights` beside the fixtures'.

        Args:
            artefact: Its name in the catalogue, which has its digest.

        Raises:
            MissingArtefact: It is in neither.
        """
        if not weights.is_present(artefact):
            beside = self._folder.absolute().parent / "weights"
            for file in sorted(beside.rglob(weights.catalogue()[artefact].file)):
                if weights.file_digest(file) == weights.digest(artefact):
                    return file
        return weights.path(artefact)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.networks)

    def __len__(self) -> int:
        return len(self._layout.networks)


class _Inputs(dict[str, Tensor]):
    def __missing__(self, name: str) -> Tensor:
        raise BadData(f"The fixtures have no input '{name}'.", why=f"They have: {', '.join(self)}.")


def _entry_point(model: str) -> EntryPoint | None:
    points = {point.value: point for point in entry_points(group=GROUP, name=model)}
    if len(points) > 1:
        raise UserError(
            f"The parity adapter '{model}' is registered more than once: {', '.join(points)}.",
            mend="Uninstall one of the packages that register it.",
        )
    return next(iter(points.values()), None)


def _compare(name: str, info: ExpectedOutput, found: Tensor | None, expected: Array) -> Comparison:
    if found is None:
        return Comparison(name, math.inf, info.tolerance, "the adapter does not compute it")
    whole = found.detach().cpu().numpy()
    if info.full_shape is not None and whole.shape != info.full_shape:
        detail = f"shape {list(whole.shape)} instead of {list(info.full_shape)}"
        return Comparison(name, math.inf, info.tolerance, detail)
    excerpt = info.excerpt(whole)
    if excerpt.shape != expected.shape:
        detail = f"stored shape {list(excerpt.shape)} instead of {list(expected.shape)}"
        return Comparison(name, math.inf, info.tolerance, detail)
    error = _largest_difference(excerpt, expected) / (info.scale or 1.0)
    return Comparison(name, error, info.tolerance)


def _largest_difference(found: Array, expected: Array) -> float:
    """The largest absolute difference; infinities are equal to themselves, NaN to NaN."""
    a, b = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return float(np.nan_to_num(difference, nan=math.inf, posinf=math.inf).max(initial=0.0))
