"""The regression gate: whether results are as good as a baseline, within what is tolerated."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anonbench.errors import BadConfig, BadData
from anonbench.results.compare import Cell

Outcome = Literal["passed", "regression", "not comparable"]
EXIT_CODES: dict[Outcome, int] = {"passed": 0, "regression": 1, "not comparable": 3}


class Tolerance(BaseModel):
    """How far a metric may move in its bad direction; in the other it may move at will.

    Attributes:
        metric: Name of the metric.
        protocol: Only in this protocol, empty for all.
        dataset: Only on this dataset.
        judge: Only by this judge.
        absolute: In the unit of the metric.
        relative: As a share of the baseline's value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    protocol: str = ""
    dataset: str = ""
    judge: str = ""
    absolute: float | None = Field(default=None, ge=0)
    relative: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.absolute is None) == (self.relative is None):
            raise ValueError("needs either absolute or relative")
        return self

    def covers(self, cell: Cell) -> bool:
        """Whether it is about a cell."""
        wanted = (self.protocol, self.dataset, self.judge)
        has = (cell.protocol, cell.dataset, cell.judge)
        fits = all(name in ("", own) for name, own in zip(wanted, has, strict=True))
        return fits and self.metric == cell.metric

    def allowed(self, cell: Cell) -> float:
        """The largest loss of a cell that is tolerated."""
        if self.absolute is not None:
            return self.absolute
        return (self.relative or 0.0) * abs(cell.before or 0.0)

    def __str__(self) -> str:
        """The names and the number, as a user would say it."""
        parts = (self.protocol, self.dataset, self.metric, self.judge)
        name = "/".join(part for part in parts if part)
        if self.absolute is not None:
            return f"{name} ± {self.absolute:g}"
        return f"{name} ± {100 * (self.relative or 0.0):g} %"


def read_tolerances(path: Path) -> list[Tolerance]:
    """The tables `[[tolerance]]` of a TOML file.

    Raises:
        BadConfig: It cannot be read, or one of them is not allowed.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = sorted(document.keys() - {"tolerance"})
        if unknown:
            raise BadConfig(
                f"{path} has '{unknown[0]}', which is no tolerance.",
                mend="Write tables [[tolerance]]; see docs/gate.md.",
            )
        return [Tolerance.model_validate(table) for table in document.get("tolerance", [])]
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "a [[tolerance]]"
        raise BadConfig(
            f"{path}: {where}: {problem['msg']}.", mend="See docs/gate.md for the fields."
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadConfig(f"The tolerance file {path} cannot be read: {error}.") from error


@dataclass(frozen=True)
class Gate:
    """What became of the comparison with a baseline.

    Attributes:
        outcome: Of all cells together: a regression in one is one; else one that cannot be
            compared is no pass.
        cells: The cells of the baseline.
        allow_missing: Whether cells that the results do not have were let pass.
    """

    outcome: Outcome
    cells: tuple[Cell, ...]
    allow_missing: bool

    @property
    def exit_code(self) -> int:
        """Exit status of the command line."""
        return EXIT_CODES[self.outcome]


def check(
    cells: Sequence[Cell], tolerances: Sequence[Tolerance] = (), *, allow_missing: bool = False
) -> Gate:
    """Judge a comparison whose first side is the baseline.

    Args:
        cells: As `compare` decided them; those that only the results have do not count.
        tolerances: Where one covers a cell it decides, the most precise one, the last of equals.
        allow_missing: Whether the results may lack cells of the baseline.

    Raises:
        BadData: Weights that were drawn for a test took part.
        BadConfig: A tolerance covers no cell.
    """
    of_baseline = [cell for cell in cells if cell.absent != "first"]
    _refuse_filled(of_baseline)
    _refuse_idle(tolerances, of_baseline)
    judged = tuple(_tolerated(cell, tolerances) for cell in of_baseline)
    needed = [cell for cell in judged if not (allow_missing and cell.absent)]
    verdicts = {cell.verdict for cell in needed}
    outcome: Outcome = "passed"
    if "worse" in verdicts:
        outcome = "regression"
    elif "not comparable" in verdicts or not verdicts:
        outcome = "not comparable"
    return Gate(outcome, judged, allow_missing)


def _tolerated(cell: Cell, tolerances: Sequence[Tolerance]) -> Cell:
    covering = [one for one in tolerances if one.covers(cell)]
    if not covering or cell.verdict == "not comparable":
        return cell
    chosen = max(reversed(covering), key=lambda one: len(one.model_dump(exclude_defaults=True)))
    if cell.loss > chosen.allowed(cell):
        return replace(cell, verdict="worse", by="tolerance", notes=(*cell.notes, str(chosen)))
    verdict = cell.verdict if cell.verdict == "better" else "same"
    return replace(cell, verdict=verdict, by="tolerance", notes=(*cell.notes, str(chosen)))


def _refuse_filled(cells: Sequence[Cell]) -> None:
    filled = [cell for cell in cells if cell.filled]
    if filled:
        raise BadData(
            f"{filled[0].method} under {filled[0].protocol} was measured with weights that were "
            "drawn for a test.",
            why="Such numbers mean nothing, so they can neither pass nor fail.",
            mend="Measure with trained weights, or take the result out of the folder.",
        )


def _refuse_idle(tolerances: Sequence[Tolerance], cells: Sequence[Cell]) -> None:
    for one in tolerances:
        if not any(one.covers(cell) for cell in cells):
            metrics = ", ".join(dict.fromkeys(cell.metric for cell in cells))
            raise BadConfig(
                f"The tolerance '{one}' fits no cell of the baseline.",
                why=f"Its metrics are: {metrics}." if metrics else "It has no cells.",
                mend="Mend its names, or take it out of the tolerance file.",
            )
