"""Precision and compiling: what networks compute in, and that results say so."""

import argparse
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from toybench import Same
from toybench.reversible import Vault

from anonbench.engine import models
from anonbench.engine.steps import on_device
from anonbench.engine.work import Numerics
from anonbench.report.entries import conditions
from anonbench.report.page.provenance import command
from anonbench.results.matching import obstacles
from anonbench.results.store import load_scores


@pytest.fixture
def autocast(monkeypatch) -> list[bool]:
    """Whether each call of the toy method was under autocast."""
    seen: list[bool] = []
    anonymize = Same.anonymize

    def watched(self, faces, keys):
        seen.append(torch.is_autocast_enabled("cpu"))
        return anonymize(self, faces, keys)

    monkeypatch.setattr(Same, "anonymize", watched)
    return seen


def test_bf16_is_a_result_of_its_own_that_says_so(toy_run, autocast) -> None:
    (full,) = toy_run()
    assert set(autocast) == {False}
    autocast.clear()
    (half,) = toy_run(precision="bf16")
    assert set(autocast) == {True}
    assert half.path != full.path
    assert [o.result.setup.precision for o in (full, half)] == ["float32", "bfloat16"]
    assert half.result.environment.precision == "bfloat16"
    assert obstacles(full.result, half.result) == ["precision: float32 → bfloat16"]


def test_bf16_rounds_what_networks_multiply() -> None:
    network, x = nn.Linear(64, 64), torch.rand(8, 64)
    with torch.inference_mode():
        full = network(x)
        with Numerics("auto", "bf16").used():
            half = network(x)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), full, atol=0.02, rtol=0.02)
    assert not torch.equal(half.float(), full)


def test_what_autocast_leaves_in_bfloat16_is_stored_as_float32(toy_run, monkeypatch) -> None:
    logits = Vault.extract_bits
    monkeypatch.setattr(Vault, "extract_bits", lambda self, x: logits(self, x).bfloat16())
    (outcome,) = toy_run(methods=("toy-vault",), protocols=("password",), judges=())
    wrong = next(m.value for m in outcome.result.metrics if m.name == "bit-error-rate")
    assert wrong == 0


def test_auto_takes_what_the_device_is_made_for(toy_run) -> None:
    (outcome,) = toy_run(precision="auto")
    fastest = models.fastest_precision(models.resolve_device("cpu"))
    assert outcome.result.setup.precision == {"fp32": "float32", "bf16": "bfloat16"}[fastest]


def test_compiled_networks_are_another_result(toy_run, monkeypatch) -> None:
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    (plain,) = toy_run()
    assert compiled == []
    (other,) = toy_run(compile_networks=True)
    assert plain.path != other.path
    assert other.result.setup.compiled
    first, second = (load_scores(o.path)["toy-recogniser"] for o in (plain, other))
    assert all(np.array_equal(first[name], second[name]) for name in first)


class Holder:
    """A plug-in with a network of its own and one that something in it holds."""

    def __init__(self) -> None:
        self.inner, self.own = argparse.Namespace(network=nn.Conv2d(8, 8, 3)), nn.Linear(1, 1)


def test_every_network_of_a_plug_in_is_compiled(monkeypatch) -> None:
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    plugin = Holder()
    assert models.tuned(plugin, "cpu", compiled=True) is plugin
    assert compiled == [plugin.inner.network, plugin.own]


@pytest.mark.parametrize(("device", "last"), [("cpu", False), ("cuda:0", True)])
def test_weights_have_their_channels_last_on_a_gpu(device, last) -> None:
    plugin = Holder()
    models.tuned(plugin, device, compiled=False)
    weight = plugin.inner.network.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == last


def test_what_goes_to_a_gpu_is_pinned_and_nobody_waits(monkeypatch) -> None:
    """Without a GPU: the tensor is told to go there so."""
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: calls.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *to, **how: calls.append((to, how)))
    on_device([np.zeros((2, 2, 3), np.uint8)], "cuda:1")
    assert calls == ["pinned", (("cuda:1",), {"non_blocking": True})]


def test_a_compiled_run_stands_apart_and_its_command_says_so(toy_run) -> None:
    (plain,) = toy_run()
    result = plain.result.model_copy(
        update={"setup": plain.result.setup.model_copy(update={"compiled": True})}
    )
    assert conditions(result) != conditions(plain.result)
    assert command(result).endswith("--compile")
    half = plain.result.setup.model_copy(update={"precision": "bfloat16"})
    assert "--precision bf16" in command(plain.result.model_copy(update={"setup": half}))
    assert "--precision" not in command(plain.result)


def test_a_worker_that_only_finds_faces_needs_no_torch() -> None:
    code = (
        "import sys; from anonbench import registry; from anonbench.engine import models, work\n"
        "models.detector(registry.judges.card('toy-detector'))\n"
        "print('torch' in sys.modules)"
    )
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
