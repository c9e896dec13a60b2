"""Reading other people's checkpoints without running what is in them.

A pickle can run any code when it is loaded. PyTorch checkpoints are therefore read with
`weights_only=True`, pickled dicts of numpy arrays by an unpickler that can build nothing else,
and both are converted once to safetensors, which holds only numbers.
"""

import pickle
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anonbench.errors import BadData, MissingExtra
from anonbench.files import atomic_write, private_folder
from anonbench.weights import cache

if TYPE_CHECKING:
    from torch import Tensor

Arrays = dict[str, NDArray[np.generic]]

# What numpy writes into a pickle to rebuild an array; the module was renamed in numpy 2.
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): None,
    ("numpy._core.multiarray", "_reconstruct"): None,
}
# Lightning before 1.5 files what a callback remembers under the callback's class itself.
_LIGHTNING_CALLBACK = type(
    "ModelCheckpoint", (), {"__module__": "pytorch_lightning.callbacks.model_checkpoint"}
)


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that builds numbers, strings, containers and numpy arrays, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise BadData(
                f"The pickle wants '{module}.{name}', which may run code; only numpy arrays are "
                "read from pickles."
            )
        return _ADMITTED[module, name] or _reconstruct


def _reconstruct(kind: type, shape: tuple[int, ...], typecode: bytes) -> NDArray[np.generic]:
    """The empty array that a pickled array's state is then set on."""
    if kind is not np.ndarray:
        raise BadData(f"The pickle wants a {kind!r} in an array's place.")
    return np.ndarray(shape, np.dtype(typecode.decode("ascii")))


def read_numpy_pickle(file: Path) -> Arrays:
    """Read a pickled, possibly nested dict of numpy arrays, and nothing but that.

    Args:
        file: The pickle.

    Returns:
        Arrays by their keys joined with `.`.

    Raises:
        BadData: The pickle holds, or asks for, anything else; none of it has run.
    """
    try:
        with file.open("rb") as stream:
            content = _ArrayUnpickler(stream).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise BadData(f"{file} is not a pickle of numpy arrays.", why=str(error)) from error
    arrays: Arrays = flatten(content, np.ndarray, file)
    for key, array in arrays.items():
        if array.dtype.hasobject:
            raise BadData(f"{file} holds an array of Python objects at '{key}'.")
    return arrays


def read_torch_checkpoint(file: Path) -> "dict[str, Tensor]":
    """Read the tensors of a PyTorch checkpoint with `weights_only=True`.

    Numbers, strings, devices and parsed command lines beside the tensors (an epoch) are left out,
    and so is what PyTorch Lightning calls its callbacks by: the name of a class, never run.

    Args:
        file: What `torch.save` wrote.

    Returns:
        Tensors on the CPU by their keys joined with `.`.

    Raises:
        BadData: It is no checkpoint, or needs code to be loaded.
        MissingExtra: torch is not installed.
    """
    content = load_torch(file)
    return flatten(content, _import_torch().Tensor, file)


def load_torch(file: Path) -> Any:
    """All that a PyTorch checkpoint holds, as `torch.save` was given it.

    Raises:
        BadData: It is no checkpoint, or needs code to be loaded.
        MissingExtra: torch is not installed.
    """
    torch = _import_torch()
    from safetensors import SafetensorError  # which torch.load takes, too

    try:
        # One holds attributes, the other stands in for a name; neither runs anything.
        with torch.serialization.safe_globals([Namespace, _LIGHTNING_CALLBACK]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError),
        SafetensorError,
    ) as error:
        raise BadData(
            f"{file} cannot be read as a checkpoint of tensors only.", why=_reason(file, error)
        ) from error


def _reason(file: Path, error: Exception) -> str:
    """Why a checkpoint could not be read: torch's own words advise to run what is in it."""
    with file.open("rb") as stream:
        start = stream.read(64).lstrip().lower()
    if not start:
        return "It is empty."
    if start.startswith((b"<!doctype", b"<html")):
        return "It is a web page: open it in a browser to see what the download asks for."
    if isinstance(error, pickle.UnpicklingError):
        asked = re.search(r"GLOBAL (\S+)", str(error))
        wrong = "It is cut off or damaged, or no checkpoint."
        return f"It asks for '{asked[1]}', which may run code." if asked else wrong
    return f"It is cut off or damaged: {str(error).partition('. ')[0]}."


def flatten(content: Any, kind: type, file: Path) -> dict[str, Any]:
    """Nested dicts as one dict with keys joined by `.`; plain values beside `kind` are left out.

    Raises:
        BadData: There is nothing of this kind, or something that is neither it nor plain.
    """
    found: dict[str, Any] = {}
    _collect(content, kind, (), found, file)
    if not found:
        raise BadData(f"{file} holds no {kind.__name__}.")
    return found


def _collect(
    value: Any, kind: type, keys: tuple[str, ...], found: dict[str, Any], file: Path
) -> None:
    if isinstance(value, kind):
        found[".".join(keys)] = value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _collect(inner, kind, (*keys, str(key)), found, file)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _collect(inner, kind, (*keys, str(index)), found, file)
    elif not _is_plain(value):
        raise BadData(f"{file} holds a {type(value).__name__} at '{'.'.join(keys)}'.")


def _is_plain(value: Any) -> bool:
    """Whether it is a number, a string, a command line, or a device that a training ran on."""
    if isinstance(value, bool | int | float | str | bytes | Namespace | None):
        return True
    return (type(value).__module__, type(value).__name__) == ("torch", "device")


def convert(file: Path) -> Path:
    """A checkpoint as safetensors, converted at the first call and kept in the cache.

    The copy's name is the checkpoint's SHA-256, so a changed checkpoint is converted anew.

    Args:
        file: A PyTorch checkpoint or a pickled dict of numpy arrays.

    Returns:
        The safetensors file.

    Raises:
        BadData: It holds anything but tensors, arrays and plain values.
        MissingExtra: torch or safetensors is not installed.
    """
    torch = _import_torch()
    digest = cache.file_digest(file)
    target = private_folder(cache.root() / ".converted") / f"{digest}.safetensors"
    with cache.locked(digest):
        if not target.exists():
            if _is_torch(file):
                tensors = read_torch_checkpoint(file)
            else:
                tensors = {k: torch.from_numpy(v) for k, v in read_numpy_pickle(file).items()}
            save(tensors, target)
    return target


def _is_torch(file: Path) -> bool:
    """Whether it is torch's zip format, or the older one, which begins with a magic number."""
    legacy = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
    with file.open("rb") as stream:
        start = stream.read(16)
    return start.startswith(b"PK") or legacy in start


def save(tensors: "Mapping[str, Tensor]", target: Path) -> None:
    """Write safetensors atomically; tensors that share memory are written apart."""
    from safetensors.torch import save_file

    apart = {key: value.contiguous().clone() for key, value in tensors.items()}
    atomic_write(target, lambda file: save_file(apart, file))


def _import_torch() -> Any:
    try:
        import safetensors.torch  # noqa: F401
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "torch", "torch", "Reading a checkpoint") from error
    return torch
