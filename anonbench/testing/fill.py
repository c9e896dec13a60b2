"""Weights that anyone can rebuild: a key, a shape and a seed determine a tensor.

The rule is the one that the README of the parity fixtures describes ("Fill rule"): the tensor
`key` is drawn from `numpy.random.default_rng(crc32("SEED:key"))` as uniform numbers with a mean
and a standard deviation that follow from its name and shape, unless a rule of its network says
otherwise. Uniform doubles are the part of NumPy's stream that has never changed.
"""

import hashlib
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

# Of a uniform distribution on [-1, 1], times its standard deviation.
_SQRT3 = math.sqrt(3)
_FLOATING = ("float", "bfloat", "double", "half")
# By the last part of the key, whatever the shape; the order decides.
_BY_ENDING: tuple[tuple[str, float, float], ...] = (
    (".running_mean", 0.0, 0.1),
    (".running_var", 1.0, 0.5 / _SQRT3),
    ("noise.weight", 0.0, 0.0),
    ("modulation.bias", 1.0, 0.1),
    ("bias", 0.0, 0.1),
    (".input", 0.0, 1.0),
    (".latent_avg", 0.0, 0.5),
)


class TensorSpec(NamedTuple):
    """One entry of a checkpoint: its key, its shape and the name of its dtype."""

    key: str
    shape: tuple[int, ...]
    dtype: str


class Spread(NamedTuple):
    """The distribution that a tensor is drawn from."""

    mean: float
    std: float


def fill(
    specs: Sequence[TensorSpec],
    seed: int,
    rules: Sequence[tuple[str, Mapping[str, float]]] = (),
    constants: Mapping[str, Any] | None = None,
) -> Arrays:
    """The state dict of one network, in checkpoint order.

    Args:
        specs: What the checkpoint holds.
        seed: Any integer.
        rules: Glob patterns on the whole key with `mean`, `std` or `gain` (std = gain over the
            root of the fan-in); the first match wins, what it leaves out keeps its default.
        constants: Values of the tensors that are part of the architecture, e.g. blur kernels.

    Returns:
        float32 arrays; integer tensors are zero.
    """
    constants = constants or {}
    keys = {spec.key for spec in specs}
    state: Arrays = {}
    for spec in specs:
        if spec.key in constants:
            state[spec.key] = np.array(constants[spec.key], np.float32).reshape(spec.shape)
        elif not spec.dtype.startswith(_FLOATING):
            state[spec.key] = np.zeros(spec.shape, spec.dtype)
        else:
            state[spec.key] = _draw(spec, seed, _ruled(spec, default_spread(spec, keys), rules))
    return state


def default_spread(spec: TensorSpec, keys: Iterable[str]) -> Spread:
    """The distribution of a floating-point tensor that no rule mentions.

    Args:
        spec: The tensor.
        keys: All keys of its network: a one-axis `weight` without a `bias` beside it is a PReLU
            slope, one with a bias is the scale of a normalisation.
    """
    dotted = "." + spec.key
    prefix, _, leaf = dotted.rpartition(".")
    for ending, mean, std in _BY_ENDING:
        if dotted.endswith(ending):
            return Spread(mean, std)
    if leaf.startswith("noise_"):
        return Spread(0.0, 1.0)
    if len(spec.shape) == 5:  # a modulated convolution, scaled at run time
        return Spread(0.0, 1.0)
    if len(spec.shape) >= 2:
        return Spread(0.0, math.sqrt(2) / math.sqrt(_fan_in(spec.shape)))
    if leaf != "weight":
        return Spread(0.0, 1.0)
    return Spread(1.0, 0.1) if f"{prefix}.bias"[1:] in keys else Spread(0.25, 0.05)


def digest(state: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 over the keys and the little-endian values of a state dict, in its order."""
    total = hashlib.sha256()
    for key, array in state.items():
        total.update(key.encode())
        total.update(array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes())
    return total.hexdigest()


def _fan_in(shape: Sequence[int]) -> int:
    return max(math.prod(shape[1:]), 1)


def _ruled(spec: TensorSpec, default: Spread, rules: Sequence[tuple[str, Any]]) -> Spread:
    for pattern, change in rules:
        if fnmatchcase(spec.key, pattern):
            std = change.get("std", default.std)
            if "gain" in change:
                std = change["gain"] / math.sqrt(_fan_in(spec.shape))
            return Spread(change.get("mean", default.mean), std)
    return default


def _draw(spec: TensorSpec, seed: int, spread: Spread) -> NDArray[np.float32]:
    random = np.random.default_rng(zlib.crc32(f"{seed}:{spec.key}".encode()))
    values = random.random(math.prod(spec.shape))
    # Step by step, since each operation rounds: another order gives other last bits.
    values *= 2.0
    values -= 1.0
    values *= _SQRT3 * spread.std
    values += spread.mean
    return values.astype(np.float32).reshape(spec.shape)
