"""What judges in ONNX files share: a session on exactly the device asked for, and how to run it."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from anonbench.errors import BadConfig, BadData


def session(
    path: Path, device: str | torch.device, judge_name: str, *, blocked: bool = True
) -> Any:
    """Open an ONNX file on exactly this device; ONNX Runtime by itself would fall back to the CPU.

    Args:
        path: The ONNX file.
        device: `cpu` or a CUDA device; the latter needs the package `onnxruntime-gpu`.
        judge_name: The registered name of the judge, for messages.
        blocked: Let ONNX Runtime block channels for AVX. That is faster, but where a file has
            layers without such a kernel, above all PReLU, they are converted to and fro.

    Returns:
        An `onnxruntime.InferenceSession`, each run of which uses one thread; see `run_each`.

    Raises:
        BadConfig: ONNX Runtime cannot run on the device here.
        BadData: The file is no ONNX model that ONNX Runtime can run.
    """
    device = torch.device(device)
    provider, options = _provider(device, judge_name)
    if provider not in onnxruntime.get_available_providers():
        raise _unusable(device, judge_name, f"the installed ONNX Runtime has no {provider}")
    opened = _open(path, (provider, options), judge_name, blocked)
    if provider not in opened.get_providers():
        raise _unusable(device, judge_name, f"{provider} could not start")
    return opened


def run_each(opened: Any, inputs: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Run a model of one input on each image by itself, as many at a time as PyTorch has threads.

    Many files fix their batch axis to 1; where it is free, the sums of an image still do not
    depend on the batch that it is in.

    Args:
        opened: What `session` gave.
        inputs: `[B, ...]` float32, as the model wants them.
        length: How many numbers the model gives for an image.

    Returns:
        `[B, length]`: all outputs of the model, flattened, one behind the other.
    """
    (given,) = opened.get_inputs()
    rows = np.empty((len(inputs), length), np.float32)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for index, row in enumerate(pool.map(partial(_run_one, opened, given.name), inputs)):
            rows[index] = row
    return rows


def _run_one(opened: Any, name: str, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    row: NDArray[np.float32] = np.concatenate(
        [output.ravel() for output in opened.run(None, {name: pixels[None]})]
    )
    return row


def _open(path: Path, provider: tuple[str, dict[str, Any]], judge_name: str, blocked: bool) -> Any:
    settings = onnxruntime.SessionOptions()
    # Images run side by side, each on one thread: faster than sharing out one image's small
    # layers, and the sums do not depend on the number of threads.
    settings.intra_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    settings.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if blocked else levels.ORT_ENABLE_EXTENDED
    )
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=[provider])
    except Exception as error:  # ONNX Runtime's errors have no class in common but this one
        first_line = str(error).splitlines()[0]
        raise BadData(
            f"{judge_name} cannot open {path} with ONNX Runtime.",
            why=f"{type(error).__name__}: {first_line}",
        ) from error


def _provider(device: torch.device, judge_name: str) -> tuple[str, dict[str, Any]]:
    if device.type == "cpu":
        return "CPUExecutionProvider", {}
    if device.type == "cuda":
        return "CUDAExecutionProvider", {"device_id": device.index or 0, "use_tf32": 0}
    raise _unusable(device, judge_name, "it runs on cpu and cuda only")


def _unusable(device: torch.device, judge_name: str, reason: str) -> BadConfig:
    return BadConfig(
        f"The judge '{judge_name}' cannot run on the device '{device}': {reason}.",
        mend="Use --device cpu, or for CUDA: pip install onnxruntime-gpu",
    )
