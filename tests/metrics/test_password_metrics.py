"""Wrong bits and wrong floats, by hand and against torch's view of the bits."""

import numpy as np
import pytest
import torch

from anonbench.metrics.password import (
    bit_errors,
    errors_by_position,
    float_cosines,
    float_errors,
    floats,
)
from anonbench.nets.float_bits import bits_to_floats, floats_to_bits


def packed(values: list[list[float]], flip: tuple[int, ...] = ()) -> np.ndarray:
    """Bits of floats `[N, n]`, some of every image flipped."""
    bits = floats_to_bits(torch.tensor(values, dtype=torch.float32)).flatten(1).numpy()
    bits[:, list(flip)] ^= True
    return np.packbits(bits, axis=1)


def test_wrong_bits_are_counted_image_by_image() -> None:
    embedded = np.packbits([[1, 0, 1, 1, 0, 0, 1, 0, 1, 1], [0] * 10], axis=1)
    read = np.packbits([[1, 1, 1, 1, 0, 0, 1, 0, 0, 1], [0] * 10], axis=1)
    assert bit_errors(embedded, read).tolist() == [2, 0]
    assert bit_errors(embedded, np.packbits(np.ones((2, 10), int), axis=1)).tolist() == [4, 10]


def test_positions_are_those_of_a_float() -> None:
    embedded, read = packed([[1, 2], [3, 4]]), packed([[1, 2], [3, 4]], flip=(0, 32, 63))
    by_position = errors_by_position(embedded, read)
    assert by_position[0] == 4
    assert by_position[31] == 2
    assert by_position.sum() == 6


def test_floats_are_those_that_were_packed() -> None:
    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    np.testing.assert_array_equal(floats(packed(values.tolist())), values)
    bits = torch.from_numpy(np.random.default_rng(1).random((20, 4, 32)) > 0.5)
    ours = floats(np.packbits(bits.flatten(1).numpy(), axis=1), "clamp50")
    np.testing.assert_array_equal(ours, bits_to_floats(bits, "clamp50").numpy())


def test_a_flipped_sign_costs_four_times_the_square() -> None:
    embedded, read = packed([[0.5, 2.0]]), packed([[0.5, 2.0]], flip=(32,))
    assert float_errors(embedded, read, "raw") == pytest.approx([16 / 2])
    cosine = (0.25 - 4) / 4.25
    assert float_cosines(embedded, read, "raw") == pytest.approx([cosine])


@pytest.mark.parametrize(("value", "wrong"), [(1.5, np.nan), (1.0, np.inf)])
def test_the_guard_puts_zero_where_the_exponent_broke(value, wrong) -> None:
    """The top bit of the exponent of a number in [1, 2) makes it infinite or no number."""
    embedded, read = packed([[value, 0.25]]), packed([[value, 0.25]], flip=(1,))
    np.testing.assert_equal(floats(read)[0, 0], wrong)
    np.testing.assert_equal(float_errors(embedded, read, "raw"), [wrong])
    assert float_errors(embedded, read, "clamp50") == pytest.approx([value**2 / 2])
    assert np.isnan(float_cosines(embedded, read, "raw")).all()
    assert 0 < float_cosines(embedded, read, "clamp50")[0] < 1


def test_what_was_hidden_is_taken_as_it_is() -> None:
    large = packed([[60.0, 1.0]])
    assert float_errors(large, large, "raw").tolist() == [0]
    assert float_errors(large, large, "clamp50").tolist() == [1800]
