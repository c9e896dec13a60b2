"""Weights drawn by rule are told from trained ones, wherever they come from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from anonbench import weights
from anonbench.nets.resnet50 import ResNet50
from anonbench.testing.fill import TensorSpec, fill
from anonbench.weights.filled import is_filled


def filled(
    seed: int, prefix: str = "", rules: tuple[tuple[str, dict[str, float]], ...] = ()
) -> dict[str, torch.Tensor]:
    state = ResNet50().state_dict()
    specs = [
        TensorSpec(k, tuple(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in state.items()
    ]
    return {prefix + k: torch.from_numpy(v) for k, v in fill(specs, seed, rules).items()}


@pytest.mark.parametrize("prefix", ["", "net.", "networks.decoder."])
@pytest.mark.parametrize("seed", [0, 3])
def test_a_test_fill_is_known_by_its_numbers(tmp_path: Path, seed: int, prefix: str) -> None:
    file = tmp_path / "net.safetensors"
    save_file(filled(seed, prefix, (("*", {"mean": 0.3, "std": 0.01}),)), file)
    assert is_filled(file)
    assert weights.record_file(file) == f"test fill {weights.file_digest(file)}"


def test_a_test_fill_stored_in_half_precision_is_known(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    save_file({k: v.half() if v.is_floating_point() else v for k, v in filled(0).items()}, file)
    assert is_filled(file)


def test_other_random_and_trained_weights_are_none(tmp_path: Path, artefact) -> None:
    torch.manual_seed(0)
    file = tmp_path / "net.safetensors"
    save_file(ResNet50().state_dict(), file)
    assert not is_filled(file)
    assert not is_filled(artefact("dlib-resnet"))
    assert not is_filled(weights.packaged("anonbench_g2face/demo.safetensors"))
    constant = tmp_path / "constant.safetensors"
    save_file({"a": torch.full((50, 50), 0.1)}, constant)
    assert not is_filled(constant)
    assert weights.record_file(constant) == weights.file_digest(constant)
    np.testing.assert_equal(len(weights.record("dlib-resnet")), 64)
