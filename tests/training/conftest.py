from pathlib import Path

import pytest
import torch
from training_world import store_crops


@pytest.fixture(autouse=True)
def _one_thread():
    """Small networks; and other tests shall not inherit what a training sets."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


@pytest.fixture
def crops_folder(tmp_path: Path) -> Path:
    """Seven crops, as found below `tmp_path`."""
    return store_crops(tmp_path / "crops", tmp_path)
