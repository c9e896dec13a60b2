import os
import pickle
import sys
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from anonbench.errors import BadData
from anonbench.weights import convert


class Runs:
    """Pickles to a call that creates a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def pickled(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def test_nested_arrays_are_read_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(3, 4)).astype("f4"), np.asfortranarray(rng.normal(size=(2, 3)))
    file = pickled(tmp_path / "x.ckpt", {"Net_0": {"Conv_0": {"kernel": kernel}}, "bias": bias})
    arrays = convert.read_numpy_pickle(file)
    assert list(arrays) == ["Net_0.Conv_0.kernel", "bias"]
    np.testing.assert_array_equal(arrays["Net_0.Conv_0.kernel"], kernel)
    np.testing.assert_array_equal(arrays["bias"], bias)


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for name, content in (("bare", Runs(marker)), ("hidden", {"w": np.ones(2), "x": Runs(marker)})):
        file = pickled(tmp_path / name, content)
        with pytest.raises(BadData, match=r"mkdir.*may run code"):
            convert.read_numpy_pickle(file)
        with pytest.raises(BadData):
            convert.convert(file)
    assert not marker.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cbuiltins\neval\n(S'1+1'\ntR.",
        b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
    ],
    ids=["builtin", "numpy function", "attribute", "other class"],
)
def test_nothing_but_arrays_is_built(payload: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.pkl"
    file.write_bytes(payload)
    with pytest.raises(BadData):
        convert.read_numpy_pickle(file)


@pytest.mark.parametrize(
    "content",
    [{"a": np.array([{}, None], dtype=object)}, {"epoch": 3}, {}],
    ids=["objects", "no array", "empty"],
)
def test_a_pickle_without_numbers_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(BadData):
        convert.read_numpy_pickle(pickled(tmp_path / "x.pkl", content))


def test_garbage_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "x.pkl"
    for garbage in (b"", b"not a pickle at all", b"\x80\x04\x95"):
        file.write_bytes(garbage)
        with pytest.raises(BadData, match=r"x\.pkl"):
            convert.read_numpy_pickle(file)


def test_what_a_training_ran_on_is_left_out(tmp_path: Path) -> None:
    opts = {"device": torch.device("cuda", 0), "command": Namespace(lr=0.1)}
    torch.save({"net": torch.ones(2), "opts": opts}, tmp_path / "net.pt")
    assert list(convert.read_torch_checkpoint(tmp_path / "net.pt")) == ["net"]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_checkpoint_is_converted_once(
    zipped: bool, tmp_path: Path, anonbench_home: Path
) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    content = {
        "epoch": 7,
        "state_dict": OrderedDict(weight=weight, tied=weight.T, half=weight.half()),
        "layers": [torch.ones(1), {"b": torch.zeros(2, dtype=torch.int64)}],
    }
    file = tmp_path / "net.pth"
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    first = convert.convert(file)
    written = first.stat().st_mtime_ns
    assert convert.convert(file) == first and first.stat().st_mtime_ns == written
    tensors = load_file(first)
    assert set(tensors) == {
        "state_dict.weight", "state_dict.tied", "state_dict.half", "layers.0", "layers.1.b",
    }  # fmt: skip
    assert torch.equal(tensors["state_dict.tied"], weight.T)
    assert tensors["state_dict.half"].dtype == torch.float16


def test_a_malicious_torch_checkpoint_is_refused(tmp_path: Path, anonbench_home: Path) -> None:
    marker, file = tmp_path / "ran", tmp_path / "net.pth"
    torch.save({"w": torch.ones(1), "x": Runs(marker)}, file)
    with pytest.raises(BadData, match=r"tensors only\. It asks for '.*mkdir', which may run code"):
        convert.convert(file)
    assert not marker.exists()
    assert not list(anonbench_home.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("name", "convolutions", "first"),
    [("lpips-alex", 5, (11, 11, 3, 64)), ("lpips-vgg", 13, (3, 3, 3, 64))],
)
def test_the_published_lpips_pickles_are_read(
    artefact: Callable[[str], Path], name: str, convolutions: int, first: tuple[int, ...]
) -> None:
    arrays = convert.read_numpy_pickle(artefact(name))
    trunk = [key for key in arrays if key.endswith("kernel") and "NetLin" not in key]
    linear = [key for key in arrays if "NetLin" in key]
    assert len(trunk) == convolutions and len(linear) == 5
    assert arrays[trunk[0]].shape == first
    assert all((arrays[key] >= 0).all() for key in linear)  # LPIPS clamps them in training


def test_lightning_names_a_callback_by_its_class_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint as Lightning before 1.5 wrote them, with an optimizer and a schedule."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = ModuleType(name)
    callback = type("ModelCheckpoint", (), {"__module__": name})
    module.ModelCheckpoint = callback  # type: ignore[attr-defined]
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    monkeypatch.setitem(sys.modules, name, module)
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(1, 2)).backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [12, 20])
    content = {
        "epoch": 25,
        "callbacks": {callback: {"monitor": "val_acc", "best_model_score": torch.tensor(0.97)}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [schedule.state_dict()],
        "state_dict": {f"model.{key}": value for key, value in net.state_dict().items()},
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1, "lr_milestones": [12, 20], "arch": "ir_101"},
    }
    torch.save(content, tmp_path / "lightning.ckpt")
    monkeypatch.undo()
    tensors = convert.read_torch_checkpoint(tmp_path / "lightning.ckpt")
    assert torch.equal(tensors["state_dict.model.weight"], net.weight)
