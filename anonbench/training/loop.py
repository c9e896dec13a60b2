"""The loop that trains a method: order, seeds, log, sample grids, checkpoints, and a clean stop.

A run's folder holds `config.json`, `log.jsonl`, `checkpoints/step-*.pt`, `samples/step-*.png`,
`model.safetensors` (what inference needs, as of the last checkpoint) and, unless they are kept
elsewhere, the `crops/`.

Everything a step draws follows from the run's seed and the step's number, so a run that was
stopped goes on as if it had not been. Several processes (`accelerate launch`) share each batch;
the first of them writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from anonbench.data.images import encode_png
from anonbench.errors import BadConfig, BadData, Diverged
from anonbench.files import atomic_write
from anonbench.training.checkpoint import Checkpoints, State
from anonbench.training.crops import Crops
from anonbench.training.ema import Ema
from anonbench.training.interfaces import Training
from anonbench.training.log import NOTHING, Log
from anonbench.training.parallel import align, average_gradients
from anonbench.training.sampling import Sampler, Stream, derived_seed, fingerprint
from anonbench.training.settings import Config

MODEL = "model.safetensors"
"""What inference needs, as of the last checkpoint."""

PREVIEWED = 8
"""Rows of a sample grid."""

_SHOWN = 8
"""Losses or weights that a message names."""

Watch = Callable[[int, Mapping[str, float]], None]
"""Is told completed steps and mean losses after every step."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        step: Completed steps.
        checkpoint: The last checkpoint.
    """

    step: int
    checkpoint: Path


class Loop:
    """Trains one method into one folder.

    Args:
        training: The method's part.
        config: The run's configuration.
        crops: The data.
        accelerator: Which `training` was built with.
        folder: Of the run.
    """

    def __init__(
        self,
        training: Training,
        config: Config,
        crops: Crops,
        accelerator: Accelerator,
        folder: Path,
    ) -> None:
        self._training, self._accelerator, self._folder = training, accelerator, folder
        self._config, self._run, self._crops = config, config.run, fingerprint(crops)
        here, processes = accelerator.process_index, accelerator.num_processes
        self._sampler = Sampler(crops, self._run.batch, self._run.seed, here, processes)
        self._modules = dict(training.modules)
        self._ema = Ema(self._modules, self._run.ema, self._run.ema_start)
        self._log = Log(folder / "log.jsonl", self._run.log_every)
        self._checkpoints = Checkpoints(folder / "checkpoints")
        self._step, self._saved = 0, -1

    def start(self, state: State | None) -> None:
        """Go on from a checkpoint, or from nothing.

        Raises:
            BadConfig: The checkpoint is of other data.
            BadData: It does not fit the modules and optimizers of this training.
        """
        if state is not None:
            self._restore(state)
        for optimizer in self._training.optimizers.values():
            average_gradients(optimizer, self._accelerator)
        if self._accelerator.is_main_process:
            self._sweep()
            self._log.resume(self._step, state["log"] if state else NOTHING)

    def run(self, watch: Watch, stop: Callable[[], bool]) -> Outcome:
        """Train until all steps are done or somebody asks to stop; both end in a checkpoint.

        Args:
            watch: Is told about progress.
            stop: Asked after every step.

        Raises:
            Diverged: A loss or a weight is not finite; the last checkpoint is as it was.
            StoreError: Something cannot be written.
        """
        stopped = False
        align(self._modules.values(), self._accelerator)
        while self._step < self._run.steps and not stopped:
            losses, stopped = self._agreed(self._advance(), stop())
            self._step += 1
            self._refuse([f"{k} = {v}" for k, v in losses.items() if not isfinite(v)])
            if self._step == 1:  # in which a method may have fitted what it stands on
                align(self._modules.values(), self._accelerator)
            self._ema.update(self._step)
            if self._accelerator.is_main_process:
                watch(self._step, self._log.add(self._step, losses))
            if self._step % self._run.preview_every == 0:
                self._preview()
            if self._step % self._run.checkpoint_every == 0:
                self._checkpoint()
        return Outcome(self._step, self._checkpoint())

    def _sweep(self) -> None:
        """Delete what a killed process left half-written."""
        for place in (".", "checkpoints", "samples"):
            for left in (self._folder / place).glob(".tmp-*"):
                left.unlink()

    def _restore(self, state: State) -> None:
        if state["crops"] != self._crops:
            raise BadConfig(
                f"{self._folder} holds a run on other training data.",
                mend="Give the --data-root or --crops it was started with, or another --out.",
            )
        try:
            _load(self._modules, state["modules"])
            _load(self._training.optimizers, state["optimizers"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise BadData(
                f"The checkpoint of step {state['step']} in {self._folder} does not fit the method "
                "as it is now.",
                why=str(error),
            ) from error
        self._ema.load(state["ema"])
        self._step = self._saved = state["step"]

    def _advance(self) -> Mapping[str, float]:
        process = self._accelerator.process_index
        set_seed(derived_seed(self._run.seed, Stream.STEP, self._step, process))
        batch = self._sampler.batch(self._step, self._accelerator.device)
        return self._training.step(batch, self._step)

    def _agreed(self, losses: Mapping[str, float], stop: bool) -> tuple[dict[str, float], bool]:
        """The mean losses of all processes, and whether any of them shall stop."""
        if self._accelerator.num_processes == 1:
            return dict(losses), stop
        own = torch.tensor([float(stop), *losses.values()], device=self._accelerator.device)
        any_stops, *means = self._accelerator.reduce(own, "mean").tolist()
        return dict(zip(losses, means, strict=True)), any_stops > 0

    def _refuse(self, problems: Sequence[str]) -> None:
        """Stop if there are any problems."""
        if problems:
            last = self._checkpoints.latest()
            more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
            raise Diverged(
                f"The training diverged at step {self._step}: "
                f"{', '.join(problems[:_SHOWN])}{more}.",
                why=f"The last good checkpoint is {last}." if last else "There is no checkpoint.",
                mend="A resume would repeat it: change the settings, and train into another --out.",
            )

    def _checkpoint(self) -> Path:
        """Write all that there is to keep, unless the last checkpoint is of this very step."""
        path = self._checkpoints.path(self._step)
        if self._saved == self._step:
            return path
        self._refuse(
            [
                f"{name}.{key} is not finite"
                for name, module in self._modules.items()
                for key, tensor in module.state_dict().items()
                if not tensor.isfinite().all()
            ]
        )
        with self._ema.applied():
            model = self._packed(self._training.export())
        if self._accelerator.is_main_process:
            atomic_write(self._folder / MODEL, lambda file: file.write_bytes(model))
            self._checkpoints.write(self._state(), self._run.keep)
        self._accelerator.wait_for_everyone()
        self._saved = self._step
        return path

    def _state(self) -> State:
        return {
            "step": self._step,
            "modules": {name: module.state_dict() for name, module in self._modules.items()},
            "optimizers": {k: v.state_dict() for k, v in self._training.optimizers.items()},
            "ema": self._ema.states,
            "log": self._log.gathered,
            "config": self._config.plain(),
            "crops": self._crops,
        }

    def _packed(self, tensors: Mapping[str, Tensor]) -> bytes:
        """A safetensors file."""
        own = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
        return save(own, {"method": self._config.method, "step": str(self._step)})

    def _preview(self) -> None:
        set_seed(derived_seed(self._run.seed, Stream.PREVIEW))
        batch = self._sampler.fixed(PREVIEWED, self._accelerator.device)
        with self._ema.applied(), torch.no_grad():
            png = encode_png(_tiled(self._training.preview(batch)))
        if self._accelerator.is_main_process:
            path = self._folder / "samples" / f"step-{self._step:08d}.png"
            atomic_write(path, lambda p: p.write_bytes(png))


def _load(parts: Mapping[str, nn.Module | Optimizer], states: Mapping[str, Any]) -> None:
    if unlike := parts.keys() ^ states.keys():
        raise ValueError(f"Only one of both has: {', '.join(sorted(unlike))}.")
    for name, part in parts.items():
        part.load_state_dict(states[name])


def _tiled(pictures: Tensor) -> NDArray[np.uint8]:
    """Pictures `[rows, columns, 3, S, S]` in `[0, 1]` as one `[rows * S, columns * S, 3]`."""
    rows, columns, _, height, width = pictures.shape
    levels = (pictures.float().clamp(0, 1) * 255).round().byte()
    return levels.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 3).cpu().numpy()
