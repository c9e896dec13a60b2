"""The global random number generators of Python, NumPy and PyTorch: seed, compare, restore."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomState:
    """The state of all global generators at one moment."""

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    torch: Tensor
    cuda: tuple[Tensor, ...]

    @classmethod
    def capture(cls) -> "RandomState":
        """The state now."""
        numpy_state = np.random.get_state(legacy=True)
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return cls(random.getstate(), tuple(numpy_state), torch.get_rng_state(), tuple(cuda))

    def restore(self) -> None:
        """Make it the state again."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch)
        if self.cuda:
            torch.cuda.set_rng_state_all(list(self.cuda))

    def changed(self, later: "RandomState") -> list[str]:
        """The modules whose state is another one in `later`."""
        same = {
            "random": self.python == later.python,
            "numpy.random": np.array_equal(self.numpy[1], later.numpy[1])
            and self.numpy[2:] == later.numpy[2:],
            "torch": torch.equal(self.torch, later.torch),
            "torch.cuda": all(map(torch.equal, self.cuda, later.cuda)),
        }
        return [name for name, equal in same.items() if not equal]


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Seed all global generators inside, and leave them outside as they were."""
    before = RandomState.capture()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        before.restore()
