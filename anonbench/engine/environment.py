"""Facts about the machine and the code that computed a result."""

import os
import platform
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anonbench
from anonbench.results.record import Environment

PACKAGES = (
    "dlib-bin",
    "facenet-pytorch",
    "numpy",
    "onnxruntime",
    "pillow",
    "scipy",
    "torch",
    "torchvision",
)


def environment(device: str, precision: str) -> Environment:
    """Versions, processor, threads, the suite's commit, and how it computed."""
    import torch

    commit, dirty = _commit()
    return Environment(
        anonbench=anonbench.__version__,
        commit=commit,
        dirty=dirty,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: found for name in PACKAGES if (found := installed_version(name))},
        cpu=_cpu(),
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        device=device,
        precision=precision,
        gpu=torch.cuda.get_device_name(device) if device.startswith("cuda") else "",
    )


def installed_version(package: str) -> str:
    """Version of an installed distribution, empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_memory_mb() -> float:
    """The largest resident memory that this process has had, in MiB.

    Linux keeps it per address space in `/proc`; `ru_maxrss` would count what a parent process had
    before this one was started from it. Elsewhere it is KiB, on macOS bytes.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _commit() -> tuple[str, bool | None]:
    """Commit and dirty flag of the checkout that the suite runs from, if it is one."""
    folder = Path(anonbench.__file__).parent.parent
    if not (folder / ".git").exists():
        return "", None
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return head, bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "", None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
