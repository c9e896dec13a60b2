import numpy as np
import pytest
import torch

from anonbench.nets.float_bits import bits_to_floats, floats_to_bits, logits_to_bits

SPECIAL = [0.0, -0.0, 1e-45, -1e-40, 1.1754944e-38, 3.4e38, np.inf, -np.inf, np.nan, 50.0, -50.1]


def values() -> torch.Tensor:
    random = np.random.default_rng(0)
    words = random.integers(0, 2**32, 4096, dtype=np.uint32)  # NaNs with payloads among them
    usual = random.normal(size=500).astype(np.float32)
    everything = [np.array(SPECIAL, np.float32), usual, words.view(np.float32)]
    return torch.from_numpy(np.concatenate(everything))


def test_bits_are_the_big_endian_pattern() -> None:
    floats = values()
    octets = floats.numpy().astype(">f4").view(np.uint8).reshape(-1, 4)
    expected = np.unpackbits(octets, axis=1).astype(bool)
    np.testing.assert_array_equal(floats_to_bits(floats).numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_round_trip_keeps_every_pattern(dtype: torch.dtype) -> None:
    floats = values().reshape(1, -1)
    back = bits_to_floats(floats_to_bits(floats).to(dtype), "raw")
    assert torch.equal(back.view(torch.int32), floats.view(torch.int32))


def test_guard_removes_what_no_embedding_holds() -> None:
    floats = torch.tensor([50.0, -50.0, 50.1, -50.1, torch.inf, -torch.inf, torch.nan, 1e-42, -3.0])
    guarded = bits_to_floats(floats_to_bits(floats), "clamp50")
    expected = torch.tensor([50.0, -50.0, 0, 0, 0, 0, 0, 1e-42, -3.0])
    assert torch.equal(guarded, expected)


def test_logits_of_even_odds_are_zeros() -> None:
    logits = torch.tensor([-4.0, 0.0, 1e-9, 1e-6, 4.0])
    assert logits_to_bits(logits).tolist() == [False, False, False, True, True]
    assert logits_to_bits(logits.bfloat16()).tolist() == [False, False, False, True, True]


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        floats_to_bits(torch.zeros(3, dtype=torch.float64))
