"""Fixtures of the tests that train."""

from collections.abc import Iterator

import pytest
import torch
from generative_world import random_lpips

from anonbench.nets.lpips import Lpips


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, and a perceptual loss whose weights nobody has to fetch."""
    monkeypatch.setattr(Lpips, "load", random_lpips)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
