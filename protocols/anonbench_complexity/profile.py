"""Sizes, arithmetic, time and memory of networks, measured in a fresh process.

Multiply-adds are those of convolutions and matrix products, also of functional ones, as PyTorch's
own counter finds them while the networks run; it counts two operations for each. Element-wise work,
interpolation and sampling do not count, though they take time. (fvcore and thop give multiply-adds
and call them FLOPs; ptflops calls them MACs.)

A network that is run again and again for one image is run once and counted, and timed, as often as
it would be.
"""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from anonbench import registry
from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.engine.models import forbid_tf32
from anonbench.interfaces import Profiled
from anonbench.values import Part, Scores, sample_key

Scope = Literal["core", "inference"]


class _Run(NamedTuple):
    """What is run, and how often for one image."""

    once: Callable[[], object]
    passes: int = 1


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        scope: What is timed: the core network, or everything that is run.
        device: Where PyTorch runs it.
        threads: Of PyTorch on the CPU.
        warmups: Passes before those that are timed.
        repeats: Timed passes.
        seed: Of the arbitrary weights and pixels.
    """

    scope: Scope
    device: str
    threads: int
    warmups: int
    repeats: int
    seed: int


def profile(card: MethodCard, plan: Plan) -> Scores:
    """Measure a method; to be called in a process that has done nothing else.

    Returns:
        `seconds` `[repeats]` and `memory` (bytes), NaN where there is nothing to run or no way to
        measure; `threads` and `device`; of everything that is run, not of the core alone, also
        what `sizes_of` gives.
    """
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    forbid_tf32(plan.device)
    parts = _parts(card, plan)
    runs = [_Run(_pass_of(part), part.passes) for part in parts] or _anonymizer(card, plan)
    with torch.no_grad():
        costs = _costs(runs, parts, plan) if runs else {"seconds": np.full(plan.repeats, np.nan)}
        sizes = sizes_of(parts) if plan.scope == "inference" else {}
    device = torch.cuda.get_device_name(plan.device) if _on_cuda(plan.device) else plan.device
    facts = {"threads": np.array(plan.threads), "device": np.array(device)}
    return {"memory": np.array(np.nan), **costs, **sizes, **facts}


def _parts(card: MethodCard, plan: Plan) -> list[Part]:
    """The networks of a scope on their device."""
    parts = cast(Profiled, registry.methods.load(card.name)).parts(card)
    return [_placed(p, plan.device) for p in parts if p.core or plan.scope == "inference"]


def _placed(part: Part, device: str) -> Part:
    inputs = cast(tuple[Any, ...], _moved(part.inputs, device))
    return replace(part, module=part.module.eval().to(device), inputs=inputs)


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return tuple(_moved(item, device) for item in value)
    return value


def _pass_of(part: Part) -> Callable[[], object]:
    return lambda: part.module(*part.inputs)


def _anonymizer(card: MethodCard, plan: Plan) -> list[_Run]:
    """A method without networks as a whole; nothing of it is a core."""
    if plan.scope == "core":
        return []
    method = registry.methods.load(card.name)(card, plan.device)
    side = template(card.template).size
    faces = torch.rand(1, 3, side, side, device=plan.device)
    return [_Run(lambda: method.anonymize(faces, [sample_key(plan.seed, "one")]))]


# ---------------------------------------------------------------------------------------- sizes
def sizes_of(parts: Sequence[Part]) -> Scores:
    """Parameters and operations of networks; what two share counts for the first that has it.

    Returns:
        `part` (names), `core` (bool), `passes`, `parameters`, `trainable` and `flops`, each `[P]`.
    """
    seen: set[int] = set()
    rows = []
    for part in parts:
        own = [p for p in part.module.parameters() if id(p) not in seen]
        seen |= {id(parameter) for parameter in own}
        rows.append((_total(own), _total(p for p in own if p.requires_grad), flops_of(part)))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    named = {
        "part": np.array([part.name for part in parts], dtype=np.str_),
        "core": np.array([part.core for part in parts], dtype=bool),
        "passes": np.array([part.passes for part in parts], dtype=np.int64),
    }
    return named | dict(zip(("parameters", "trainable", "flops"), table.T, strict=True))


def _total(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def flops_of(part: Part) -> int:
    """Operations for one image: two for each multiply-add of a convolution or a matrix product.

    Gradients that the network itself computes are counted, too.
    """
    with (
        sdpa_kernel(SDPBackend.MATH),
        _Operations() as counted,
    ):  # other kernels hide their products
        part.module(*part.inputs)
    return int(counted.total * part.passes)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts by the formulas of PyTorch's own counter, `FlopCounterMode`.

    That one also asks which module an operation belongs to; its hooks for it forbid
    `torch.autograd.grad`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        formula = flop_registry.get(func.overloadpacket)
        if formula is None:
            with self:
                result = func.decompose(*args, **named)
            if result is not NotImplemented:
                return result
        result = func(*args, **named)
        if formula is not None:
            self.total += int(formula(*args, **named, out_val=result))
        return result


# ------------------------------------------------------------------------------- time and memory
def _costs(runs: Sequence[_Run], parts: Sequence[Part], plan: Plan) -> Scores:
    def all_once() -> None:
        for run in runs:
            run.once()

    memory = peak_memory(all_once, [part.module for part in parts], plan.device)
    for _ in range(plan.warmups - 1):
        all_once()
    seconds = [sum(_timed(run, plan.device) for run in runs) for _ in range(plan.repeats)]
    return {"seconds": np.array(seconds), "memory": np.array(memory)}


def _timed(run: _Run, device: str) -> float:
    """Seconds for one image: those of one pass, as often as it is run."""
    _wait_for(device)
    started = time.perf_counter()
    run.once()
    _wait_for(device)
    return run.passes * (time.perf_counter() - started)


def _wait_for(device: str) -> None:
    if _on_cuda(device):
        torch.cuda.synchronize(device)


def _on_cuda(device: str) -> bool:
    return device.startswith("cuda")


def peak_memory(run: Callable[[], object], modules: Sequence[nn.Module], device: str) -> float:
    """Bytes that a first pass needs at most, the weights of the networks included.

    On CUDA what PyTorch allocated. On the CPU of Linux the weights and the growth of the process's
    resident memory in that pass: what libraries take for themselves is in it, and pages that were
    free before are not. NaN elsewhere.
    """
    weights = _weight_bytes(modules)
    if _on_cuda(device):
        torch.cuda.reset_peak_memory_stats(device)
        others = torch.cuda.memory_allocated(device) - weights
        run()
        _wait_for(device)
        return float(torch.cuda.max_memory_allocated(device) - others)
    status = Path("/proc/self/status")
    if device != "cpu" or not status.is_file():
        run()
        return float("nan")
    Path("/proc/self/clear_refs").write_text("5")  # the peak becomes what is resident now
    before = _kibibytes(status, "VmRSS")
    run()
    return weights + 1024.0 * (_kibibytes(status, "VmHWM") - before)


def _weight_bytes(modules: Sequence[nn.Module]) -> int:
    tensors = [t for module in modules for t in (*module.parameters(), *module.buffers())]
    return sum({id(tensor): tensor.nbytes for tensor in tensors}.values())


def _kibibytes(status: Path, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+)", status.read_text(encoding="utf-8"))
    if found is None:
        raise LookupError(f"{status} has no {name}")
    return int(found[1])
