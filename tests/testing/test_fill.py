"""The fill rule, tensor by tensor and against the digests of the published layouts."""

import math
from pathlib import Path

import numpy as np
import pytest

from anonbench.testing.fill import TensorSpec, default_spread, digest, fill
from anonbench.testing.fixtures import read_layout

SPREADS = [
    ("bn.running_mean", (4,), 0, 0.1),
    ("bn.running_var", (4,), 1, 0.5 / math.sqrt(3)),
    ("conv.noise.weight", (1,), 0, 0),
    ("conv.modulation.bias", (4,), 1, 0.1),
    ("attention.in_proj_bias", (4,), 0, 0.1),
    ("bias", (4,), 0, 0.1),
    ("input.input", (1, 4, 4, 4), 0, 1),
    ("noises.noise_3", (1, 1, 8, 8), 0, 1),
    ("latent_avg", (14, 512), 0, 0.5),
    ("conv.weight", (1, 8, 4, 3, 3), 0, 1),
    ("conv.weight", (8, 2, 3, 3), 0, 1 / 3),
    ("prelu.weight", (4,), 0.25, 0.05),
    ("bn.weight", (4,), 1, 0.1),
    ("weight", (4,), 0.25, 0.05),
    ("gain", (4,), 0, 1),
]


@pytest.mark.parametrize(("key", "shape", "mean", "std"), SPREADS)
def test_distribution_follows_from_name_and_shape(key, shape, mean, std) -> None:
    spread = default_spread(TensorSpec(key, shape, "float32"), {key, "bn.bias"})
    assert spread == pytest.approx((mean, std))


def test_the_first_matching_rule_wins_and_keeps_what_it_does_not_set() -> None:
    specs = [TensorSpec("a.weight", (1000, 4), "float32"), TensorSpec("b.weight", (9, 9), "half")]
    rules = [("a.*", {"mean": 3.0}), ("a.weight", {"std": 100.0}), ("*", {"gain": 0.0})]
    state = fill(specs, 5, rules)
    assert state["a.weight"].mean() == pytest.approx(3, abs=0.05)
    assert state["a.weight"].std() == pytest.approx(math.sqrt(2) / 2, rel=0.05)
    assert not state["b.weight"].any()


def test_constants_are_taken_and_integers_are_zero() -> None:
    specs = [TensorSpec("kernel", (2, 2), "float32"), TensorSpec("count", (), "int64")]
    state = fill(specs, 0, constants={"kernel": [[1, 2], [3, 4]]})
    np.testing.assert_array_equal(state["kernel"], np.array([[1, 2], [3, 4]], np.float32))
    assert (state["count"].dtype, state["count"].shape, state["count"]) == (np.int64, (), 0)


def test_a_tensor_depends_on_its_key_and_the_seed_alone() -> None:
    a, b = TensorSpec("a", (5,), "float32"), TensorSpec("b", (5,), "float32")
    alone, together = fill([b], 3), fill([a, b], 3)
    np.testing.assert_array_equal(alone["b"], together["b"])
    assert not np.array_equal(together["a"], together["b"])
    assert not np.array_equal(fill([b], 4)["b"], alone["b"])


def test_digest_depends_on_names_values_and_order() -> None:
    state = fill([TensorSpec("a", (2,), "float32"), TensorSpec("b", (2,), "float32")], 0)
    others = [dict(reversed(state.items())), {**state, "b": state["b"] + 1}, {"a": state["a"]}]
    assert len({digest(state), *map(digest, others)}) == 4
    assert digest({k: v.astype(">f4") for k, v in state.items()}) == digest(state)


@pytest.mark.parametrize("name", ["g2face", "stylegan2_ffhq256", "lpips", "hopenet"])
def test_rebuilds_the_published_states(shared: Path, name: str) -> None:
    layout = read_layout(shared / "parity", name)
    for network in layout.networks.values():
        state = fill(network.state, layout.seed, network.rules, network.constants)
        assert digest(state) == network.sha256
