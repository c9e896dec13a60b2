"""The three steps of a stage on a batch, where an image that fails is a row with its reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from numpy.typing import NDArray

from anonbench.engine import models
from anonbench.engine.faces import Item
from anonbench.engine.job import RunConfig
from anonbench.engine.steps import Prepared, Stage
from anonbench.engine.store import Row
from anonbench.errors import BadImage, UserError

if TYPE_CHECKING:
    import torch

Batch = Sequence[Prepared | Row]
"""What is prepared of each sample, or the row of one that failed."""


def prepare(stage: Stage, items: Sequence[Item]) -> Batch:
    """Prepare each sample."""
    return [_prepare(stage, item) for item in items]


def _prepare(stage: Stage, item: Item) -> Prepared | Row:
    if item.error:
        return Row(item.id, error=item.error)
    try:
        return stage.prepare(item)
    except BadImage as error:
        return Row(item.id, error=str(error))
    except (MemoryError, RuntimeError) as error:
        if _is_out_of_memory(error):
            raise _too_little_memory(stage) from error
        raise


class Launched(NamedTuple):
    """A batch of which networks are computing: tensors on their device, still to be read."""

    batch: Batch
    told: dict[str, torch.Tensor]
    seconds: float


class Landed(NamedTuple):
    """What networks told of those of a batch that did not fail, and the seconds they took."""

    batch: Batch
    told: dict[str, NDArray[Any]]
    seconds: float


class Done(NamedTuple):
    """What became of a batch: its rows, and the seconds that networks took."""

    rows: list[Row]
    network_seconds: float


def land(launched: Launched) -> Landed:
    """Wait for networks, and take what they told from their device."""
    started = time.perf_counter()
    told = {name: _array(tensor) for name, tensor in launched.told.items()}
    return Landed(launched.batch, told, launched.seconds + time.perf_counter() - started)


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as an array; NumPy has no bfloat16, so what autocast left in it becomes float32."""
    import torch

    wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    array: NDArray[Any] = wide.cpu().numpy()
    return array


def finish(stage: Stage, landed: Landed) -> Done:
    """One row per sample, in order."""
    rows, place = [], 0
    for one in landed.batch:
        if isinstance(one, Row):
            rows.append(one)
        else:
            rows.append(stage.finish(one, {n: told[place] for n, told in landed.told.items()}))
            place += 1
    return Done(rows, landed.seconds)


@dataclass(frozen=True)
class Numerics:
    """How networks compute.

    Attributes:
        device: Where, as `--device` names it.
        precision: `fp32`, or `bf16`, which is under autocast.
        compiled: Whether torch compiles them first.
    """

    device: str
    precision: str = "fp32"
    compiled: bool = False

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """As the user wants it."""
        return cls(config.device, config.precision, config.compile_networks)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Networks that are called in the block compute so."""
        with models.compiling(self.compiled):
            if self.precision == "fp32":
                yield
                return
            import torch

            device = torch.device(models.resolve_device(self.device))
            with torch.autocast(device.type, torch.bfloat16):
                yield


class Inference:
    """Runs networks on batches, and makes do with less memory where it runs out.

    Args:
        numerics: How they compute.
        warn: Is told, once per stage, that batches had to be halved.
    """

    def __init__(self, numerics: Numerics, warn: Callable[[str], None]) -> None:
        self.numerics, self._warn = numerics, warn
        self._most: dict[str, int] = {}

    def launch(self, stage: Stage, batch: Batch) -> Launched:
        """Start to compute; on a GPU this returns before it is done.

        Raises:
            UserError: Memory does not even suffice for one image, or a plug-in misbehaves.
        """
        good = [one for one in batch if isinstance(one, Prepared)]
        if not stage.networks or not good:
            return Launched(batch, {}, sum(one.seconds for one in good))
        started = time.perf_counter()
        with self.numerics.used():
            told = self._infer(stage, good)
        return Launched(batch, told, time.perf_counter() - started)

    def run(self, stage: Stage, items: Sequence[Item]) -> Done:
        """All three steps, here and now."""
        return finish(stage, land(self.launch(stage, prepare(stage, items))))

    def _infer(self, stage: Stage, batch: Sequence[Prepared]) -> dict[str, torch.Tensor]:
        most = self._most.get(stage.label, len(batch))
        try:
            if len(batch) <= most:
                return stage.infer(batch)
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            self._halve(stage, len(batch))
        middle = len(batch) // 2
        return _joined([self._infer(stage, part) for part in (batch[:middle], batch[middle:])])

    def _halve(self, stage: Stage, size: int) -> None:
        """Remember that a batch was too large, and free what it held."""
        import torch

        if size == 1:
            raise _too_little_memory(stage)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if stage.label not in self._most:
            self._warn(
                f"Memory ran out during '{stage.label}' with {size} images at a time; its batches "
                "are halved, which may change the last digits of its numbers."
            )
        self._most[stage.label] = (size + 1) // 2


def _too_little_memory(stage: Stage) -> UserError:
    return UserError(
        f"There is not enough memory for one image at a time during '{stage.label}'.",
        why="What was computed before is kept.",
        mend="Close other programs, or use --workers 1 or another --device; then run the same "
        "command again.",
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error says so; torch raises a plain RuntimeError for a processor's memory."""
    if isinstance(error, MemoryError):  # no time to import anything
        return True
    import torch

    said = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return said or isinstance(error, torch.OutOfMemoryError)


def _joined(parts: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    import torch

    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
