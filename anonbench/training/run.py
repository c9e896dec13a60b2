"""A run in its folder: what must be in order before the loop starts."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from filelock import FileLock, Timeout

from anonbench.engine.models import forbid_tf32, resolve_device
from anonbench.errors import BadConfig
from anonbench.files import atomic_write, private_folder
from anonbench.registry import trainings
from anonbench.training.checkpoint import Checkpoints, State
from anonbench.training.crops import Crops, load_crops
from anonbench.training.loop import Loop, Outcome, Watch
from anonbench.training.sampling import Stream, derived_seed
from anonbench.training.settings import Config, Run, differences

CONFIG = "config.json"
"""The file that says what a run trains, with all defaults."""


def train(
    config: Config,
    data_root: Path,
    folder: Path,
    *,
    crops: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    watch: Watch = lambda step, losses: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a method from the beginning, or from the last checkpoint in its folder.

    Args:
        config: What to do.
        data_root: Holds the data sources.
        folder: Of the run.
        crops: Where the aligned crops are kept; in `folder` by default.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        resume: Go on with the run in `folder`.
        watch: Is told about progress.
        stop: Asked after every step whether to end early.

    Raises:
        BadConfig: The folder holds a run and `resume` is not set, or the other way round; or
            configuration or data are not those of that run; or the device cannot do it.
        BadData: A data source is missing, or the checkpoint cannot be used.
        Diverged: See `Loop.run`.
        StoreError: Something cannot be written.
    """
    accelerator = make_accelerator(device, config.run)
    with _claimed(folder, resume, accelerator.is_main_process):
        state = _last_state(folder, config) if resume else None
        data = _shared_crops(config, data_root, crops or folder / "crops")
        set_seed(derived_seed(config.run.seed, Stream.INITIAL))
        training = trainings.load(config.method)(config.training, accelerator, data)
        loop = Loop(training, config, data, accelerator, folder)
        loop.start(state)
        if accelerator.is_main_process:
            text = json.dumps(config.plain(), indent=2)
            atomic_write(folder / CONFIG, lambda path: path.write_text(text, "utf-8"))
        return loop.run(watch, stop)


def make_accelerator(device: str, run: Run) -> Accelerator:
    """Hugging Face's accelerator for a device and the precision of a run, and nothing less.

    Raises:
        BadConfig: The device does not exist, cannot autocast to bfloat16, or the processes cannot
            share a batch evenly.
    """
    kind = resolve_device(device).partition(":")[0]
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    if kind == "cpu":  # Adam's small moments would slow a step down several times
        torch.set_flush_denormal(True)
    if run.precision == "fp32":
        forbid_tf32(kind)
    try:
        precision = {"fp32": "no", "bf16": "bf16"}[run.precision]
        accelerator = Accelerator(cpu=kind == "cpu", mixed_precision=precision)
    except ValueError as error:
        raise BadConfig(f"run.precision = '{run.precision}' on {kind}: {error}") from error
    _check_device(accelerator, kind, run)
    return accelerator


def _check_device(accelerator: Accelerator, kind: str, run: Run) -> None:
    if accelerator.device.type != kind:
        raise BadConfig(
            f"The device '{kind}' is wanted, but accelerate takes '{accelerator.device}'.",
            mend="Mend its configuration (accelerate config) or the variables ACCELERATE_*.",
        )
    with accelerator.autocast():
        casts = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind)
    if casts != (torch.bfloat16 if run.precision == "bf16" else False):
        raise BadConfig(f"run.precision = '{run.precision}' cannot be had on {kind}.")
    if run.batch % accelerator.num_processes:
        raise BadConfig(
            f"run.batch = {run.batch} cannot be shared by {accelerator.num_processes} processes."
        )


@contextmanager
def _claimed(folder: Path, resume: bool, main: bool) -> Iterator[None]:
    """Keep other runs out of a folder, which must hold a run if and only if that is resumed."""
    if not main:
        yield
        return
    if any(_traces(folder)) and not resume:
        raise BadConfig(
            f"{folder} already holds a run.",
            mend="Continue it with --resume, or give another --out.",
        )
    if resume and not any(_traces(folder)):
        raise BadConfig(f"{folder} holds no run to resume.", mend="Start one: leave --resume out.")
    private_folder(folder)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise BadConfig(
            f"Another process is training in {folder}.", mend="Wait for it, or stop it."
        ) from error


def _traces(folder: Path) -> Iterator[bool]:
    yield (folder / CONFIG).exists()
    yield Checkpoints(folder / "checkpoints").latest() is not None


def _last_state(folder: Path, config: Config) -> State | None:
    """The last checkpoint, if the run came as far as that."""
    checkpoints = Checkpoints(folder / "checkpoints")
    path = checkpoints.latest()
    if path is None:
        return None
    state = checkpoints.read(path)
    if changed := differences(config.plain(), state["config"]):
        raise BadConfig(
            f"{path} is of a run with another configuration.",
            why=f"What differs: {', '.join(changed)}.",
            mend="Give the configuration that the run was started with, or another --out.",
        )
    return state


def _shared_crops(config: Config, data_root: Path, folder: Path) -> Crops:
    """The crops; of several processes the first makes them while the others wait."""
    private_folder(folder)
    with FileLock(folder / ".lock"):
        return load_crops(config.data.sources, data_root, config.data.template, folder)
