"""Sizes against what can be worked out by hand; time and memory of toys that are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from toybench.network import SCRATCH_MIB, STEP_SECONDS, STEPS
from verification_world import protocol

from anonbench.errors import BadConfig
from anonbench.interfaces import Profiled
from anonbench.registry import methods, protocols
from anonbench.results.published import published
from anonbench.values import Part
from anonbench_complexity.profile import flops_of, sizes_of

SPEC = "complexity:repeats=3:warmups=1"


def measure(method: str):
    bench = protocol(SPEC)
    world = SimpleNamespace(method=methods.parse(method), device="cpu", side=64)
    scores = bench.score(None, world, "", None)
    return bench, scores, {metric.name: metric for metric in bench.reduce(scores).metrics}


class Modulated(nn.Module):
    """Each image of the batch under weights of its own, as one grouped functional convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 4, 3, 3))

    def forward(self, x: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        weight = (self.weight[None] * styles[:, None, :, None, None]).flatten(0, 1)
        y = functional.conv2d(
            x.reshape(1, batch * channels, height, width), weight, padding=1, groups=batch
        )
        return y.view(batch, 5, height, width)


class Attention(nn.Module):
    """Every place looks at every place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.scaled_dot_product_attention(x, x, x)


# What a layer multiplies and adds: outputs times the inputs that each one sees.
@pytest.mark.parametrize(
    ("module", "inputs", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), [(1, 3, 16, 16)], 8 * 16 * 16 * 27),
        (nn.Conv2d(6, 8, 5, stride=2, groups=2), [(1, 6, 15, 15)], 8 * 6 * 6 * 3 * 25),
        (nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), [(1, 4, 8, 8)], 4 * 8 * 8 * 6 * 16),
        (nn.Linear(10, 7), [(1, 3, 10)], 3 * 7 * 10),
        (Modulated(), [(1, 4, 9, 9), (1, 4)], 5 * 81 * 36),
        (Modulated(), [(2, 4, 9, 9), (2, 4)], 2 * 5 * 81 * 36),
        (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3).eval()), [(1, 3, 8, 8)], 0),
        (Attention(), [(1, 2, 9, 4)], 2 * 2 * 9 * 9 * 4),
    ],
)
@torch.no_grad()
def test_operations_by_hand(module, inputs, macs) -> None:
    part = Part("layer", module, tuple(torch.rand(shape) for shape in inputs))
    assert flops_of(part) == 2 * macs


@torch.no_grad()
def test_what_two_networks_share_counts_once_but_runs_twice() -> None:
    layer, x = nn.Linear(3, 5), torch.rand(1, 3)
    frozen = nn.Linear(5, 1).requires_grad_(False)
    whole = nn.Sequential(layer, frozen)
    sizes = sizes_of([Part("layer", layer, (x,), core=True), Part("whole", whole, (x,))])
    assert sizes["parameters"].tolist() == [20, 6]
    assert sizes["trainable"].tolist() == [20, 0]
    assert sizes["flops"].tolist() == [30, 30 + 10]


@torch.no_grad()
def test_g2face_has_the_sizes_of_table_7() -> None:
    parts = methods.load("g2face").parts(methods.parse("g2face:checkpoint=official"))
    for part in parts:
        part.module.eval().to("meta")
    sizes = sizes_of([Part(p.name, p.module, on_meta(p.inputs), p.core) for p in parts])
    core = sizes["core"]
    assert sizes["parameters"][core].sum() == 81_185_014
    assert sizes["flops"][core].sum() / 1e9 == pytest.approx(266.98, abs=0.01)
    printed = {v.metric: v.value for v in published() if v.table == "g2face-table-7"}
    found = {"parameters": 81.185014, "flops": sizes["flops"][core].sum() / 1e9}
    assert found["parameters"] == pytest.approx(printed["parameters"], abs=5e-4)
    assert found["flops"] == pytest.approx(printed["flops"], rel=0.004)
    # shared/reference/METHODS.md, section 1
    others = dict(zip(sizes["part"].tolist(), sizes["parameters"] / 1e6, strict=True))
    assert others["style mappers"] == pytest.approx(3.378, abs=5e-4)
    assert others["dummy identity"] == pytest.approx(0.526, abs=5e-4)
    assert others["password extractor"] == pytest.approx(0.163, abs=5e-4)
    assert others["ArcFace r50"] == pytest.approx(43.6, abs=0.05)
    assert sizes["trainable"][-2:].tolist() == [0, 0]


def on_meta(value):
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    return tuple(on_meta(item) for item in value) if isinstance(value, list | tuple) else value


def test_the_demo_shows_everything_that_it_runs_without_dlibs_weights(anonbench_home) -> None:
    parts = methods.load("g2face").parts(methods.parse("g2face"))
    with torch.no_grad():
        for part in parts:
            assert part.module.eval()(*part.inputs).isfinite().all()
    assert [part.name for part in parts if part.core] == ["decoder, encoder, masks"]
    assert {"dlib ResNet", "landmark model", "appearance model"} <= {p.name for p in parts}


def test_a_method_is_measured_without_building_it(tmp_path) -> None:
    bench, scores, found = measure("toy-net")
    conv = 3 * 8 * 9 + 8
    assert found["parameters"].value == pytest.approx(conv / 1e6)
    assert found["inference-parameters"].value == pytest.approx((conv + 44) / 1e6)
    assert found["inference-parameters-trainable"].value == pytest.approx(conv / 1e6)
    assert found["inference-parameters"].detail["others' layer"] == pytest.approx(44e-6)
    assert found["flops"].value == pytest.approx(2 * found["macs"].value)
    assert found["inference-macs"].value == pytest.approx((8 * 256 * 27 + 40) / 1e9)
    for scope in ("", "inference-"):
        seconds, memory = found[f"{scope}seconds"], found[f"{scope}peak-memory"]
        (spread,) = seconds.intervals
        assert 0 < spread.low <= seconds.value <= spread.high
        assert (seconds.n, spread.level) == (3, 0.5)
        assert "cpu" in spread.method
        assert f"{torch.get_num_threads()} threads" in spread.method
        # Resident memory also has what libraries take, and lacks pages that were free before.
        assert 0.75 * SCRATCH_MIB < memory.value < 1.5 * SCRATCH_MIB
    np.savez(tmp_path / "scores.npz", **scores)
    stored = dict(np.load(tmp_path / "scores.npz", allow_pickle=False))
    assert bench.reduce(stored) == bench.reduce(scores)


def test_what_is_run_again_and_again_counts_as_often_but_is_run_once() -> None:
    bench, scores, found = measure("toy-loop")
    macs = 3 * 8 * 9 * 16 * 16 / 1e9
    assert found["macs"].value == pytest.approx(macs)
    # A step: forwards, and back to the image; the network takes no gradient of its own.
    assert found["inference-macs"].value == pytest.approx(macs * (1 + 2 * STEPS))
    assert found["inference-parameters"].value == found["parameters"].value > 0
    assert found["inference-seconds"].value > STEPS * STEP_SECONDS
    assert f"step once for {STEPS}" in found["inference-seconds"].intervals[0].method
    assert "once for" not in found["seconds"].intervals[0].method
    assert bench.reduce(scores).counts.detail == {"crop side in pixels": 64}


def test_a_filter_has_no_network_but_takes_time() -> None:
    _, _, found = measure("pixelate")
    assert found["parameters"].value == found["inference-flops"].value == 0
    assert found["seconds"].reason == found["peak-memory"].reason == "the method has no network"
    assert found["inference-seconds"].value > 0


def test_a_method_that_shows_no_networks_is_not_applicable() -> None:
    _, _, found = measure("toy-tint")
    assert set(found) == {spec.name for spec in protocols.card("complexity").metrics}
    assert {m.reason for m in found.values()} == {"the method does not show its networks"}


@pytest.mark.parametrize("name", ["g2face", "drdpgan", "identity", "blackout", "blur", "pixelate"])
def test_methods_show_their_networks(name) -> None:
    assert isinstance(methods.load(name), Profiled)


def test_the_card_has_the_columns_of_table_7() -> None:
    card = protocols.card("complexity")
    columns = {v.metric: v.unit for v in published() if v.protocol == "complexity"}
    assert columns.items() <= {spec.name: spec.unit for spec in card.metrics}.items()
    assert not any(spec.judged for spec in card.metrics)


def test_a_bad_setting_is_named() -> None:
    with pytest.raises(BadConfig, match="complexity:repeats"):
        protocol("complexity:repeats=0")
