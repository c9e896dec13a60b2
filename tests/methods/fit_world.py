"""FIT's generator with weights that are filled by rule, and bundles of it."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from anonbench.testing.fill import TensorSpec, fill
from anonbench.testing.inputs import synthetic_faces
from anonbench_fit.bundle import pack
from anonbench_fit.networks import Generator, Scheme

SIDE = 32


def filled(net: Generator) -> dict[str, Tensor]:
    """A generator's state dict, each tensor drawn for its key; the last layer is kept low.

    At the usual gain what enters its tanh has a standard deviation of 4 to 7. Most published pixels
    are then 0 or 1, and a crop can come out black or white under any password.
    """
    state = net.state_dict()
    specs = [TensorSpec(key, tuple(v.shape), "float32") for key, v in state.items()]
    last = list(state)[-2]
    return {
        key: torch.from_numpy(array)
        for key, array in fill(specs, seed=0, rules=[(last, {"gain": 0.1})]).items()
    }


def small_generator() -> Generator:
    """A filled one of a sixteenth of the channels."""
    net = Generator(width=4, blocks=2)
    net.load_state_dict(filled(net))
    return net


def write_bundle(
    path: Path, side: int = SIDE, scheme: Scheme = "half", *, half: bool = False
) -> Path:
    """A bundle of `small_generator` with a reference batch of synthetic faces."""
    tensors = pack(small_generator(), scheme, synthetic_faces(4, side, seed=9), half=half)
    save_file({key: value.clone().contiguous() for key, value in tensors.items()}, path)
    return path
