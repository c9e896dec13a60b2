import numpy as np
import pytest
import torch
from recovery_world import Gallery
from verification_world import protocol

from anonbench.errors import BadConfig
from anonbench.nets.float_bits import floats_to_bits
from anonbench.values import Bits, Numbers

SPEC = "password:bootstrap=100"
IDS = ("a/1", "a/2", "b/1", "c/1")


def gallery(flips: dict[int, tuple[int, ...]], *, as_floats: bool, failed=None) -> Gallery:
    """Four images with 64 bits each, some of which are read wrong."""
    values = torch.tensor([[0.5, -1.5]] * 4)
    hidden = floats_to_bits(values).flatten(1).numpy()
    read = hidden.copy()
    for image, positions in flips.items():
        read[image, list(positions)] ^= True
    bits = Bits(
        IDS,
        np.packbits(hidden, axis=1),
        np.packbits(read, axis=1),
        64,
        "float32" if as_floats else "bits",
        failed or {},
    )
    return Gallery(hidden=bits, failed=failed or {})


def measure(world: Gallery, spec: str = SPEC):
    bench = protocol(spec)
    reduction = bench.reduce(bench.score(world, world, "", None))
    return reduction, {metric.name: metric for metric in reduction.metrics}


def test_values_by_hand() -> None:
    reduction, found = measure(gallery({0: (0,), 1: (31, 40)}, as_floats=True))
    rate = found["bit-error-rate"]
    assert rate.value == pytest.approx(3 / 256)
    assert rate.std == pytest.approx(np.std([1 / 64, 2 / 64, 0, 0]))
    assert rate.detail["wrong bits"] == 3
    assert rate.detail["of the worst image"] == pytest.approx(2 / 64)
    assert rate.detail["of sign"] == pytest.approx(1 / 8)
    assert rate.detail["of exponent"] == pytest.approx(1 / (8 * 8))
    assert rate.detail["of mantissa"] == pytest.approx(1 / (8 * 23))
    exact = found["exact-recovery-rate"]
    assert (exact.value, exact.n, exact.direction) == (0.5, 4, "higher")
    assert "Clopper-Pearson" in exact.intervals[1].method
    assert rate.detail["of exponent bit 8"] == pytest.approx(1 / 8)  # bit 40 of the image
    assert rate.detail["of mantissa bit 23"] == pytest.approx(1 / 8)  # bit 31
    at_positions = [name for name in rate.detail if " bit " in name or name == "of sign"]
    assert len(at_positions) == 32
    assert sum(rate.detail[name] for name in at_positions) == pytest.approx(3 / 8)
    last = -1.5 * 2.0  # bit 40 is the lowest of the exponent of the second float: 127 becomes 126
    squares = [(2 * 0.5) ** 2, (2.0**-24) ** 2 + (last / 4 + 1.5) ** 2, 0, 0]
    for name in ("float-mse", "float-mse-raw", "float-mse-projected"):
        assert found[name].value == pytest.approx(np.mean(squares) / 2)
    assert 0.5 < found["identity-cosine"].value < 1
    assert reduction.counts.used == 4


def test_a_broken_exponent_is_guarded_and_told() -> None:
    """-1.5 with the first bit of its exponent flipped is NaN, 0.5 so is 2**127."""
    _, found = measure(gallery({2: (33,)}, as_floats=True))
    assert found["float-mse"].value == pytest.approx(1.5**2 / 2 / 4)
    assert found["float-mse-projected"].value == pytest.approx(1.5**2 / 2 / 4)
    raw = found["float-mse-raw"]
    assert raw.value is None
    assert raw.reason == "not finite in 1 of 4 images: 1 floats read are NaN, 0 infinite"
    assert raw.detail == {"NaN": 1, "infinite": 0, "of the other images": 0}
    assert 0 < found["identity-cosine"].value < 1
    _, large = measure(gallery({2: (1,)}, as_floats=True))
    assert large["float-mse-raw"].value == pytest.approx((2.0**127) ** 2 / 2 / 4)
    radius = 2 * np.sqrt(2)
    assert large["float-mse-projected"].value == pytest.approx(((radius - 0.5) ** 2 + 1.5**2) / 8)
    assert large["float-mse"].value == pytest.approx(0.5**2 / 2 / 4)


def test_an_identity_that_is_gone_has_no_cosine() -> None:
    """Both floats of an image are set to zero by the guard, so they point nowhere."""
    _, found = measure(gallery({0: (1, 33)}, as_floats=True))
    assert found["identity-cosine"].value is None
    assert "not finite in 1 of 4 images" in found["identity-cosine"].reason
    assert found["identity-cosine"].detail["of the other images"] == pytest.approx(1)


def test_bits_that_are_no_floats_have_no_float_error() -> None:
    _, found = measure(gallery({0: (0,)}, as_floats=False))
    assert found["bit-error-rate"].value == pytest.approx(1 / 256)
    assert "of sign" not in found["bit-error-rate"].detail
    for name in ("float-mse", "float-mse-raw", "float-mse-projected", "identity-cosine"):
        assert found[name].reason == "the hidden bits are no floats"


def coded(read: list[list[float]]) -> Gallery:
    """Two images with 8 bits each and no wrong one, that stand for two numbers by a code."""
    bits = np.zeros((2, 1), np.uint8)
    hidden, embedded = [[1.0, -1.0], [0.0, 2.0]], [[1.25, -1.0], [0.0, 1.5]]
    numbers = Numbers(*(np.array(side, np.float32) for side in (hidden, embedded, read)))
    return Gallery(hidden=Bits(("a/1", "b/1"), bits, bits, 8, "learned", {}, numbers))


def test_a_learned_code_has_an_error_of_its_own() -> None:
    _, found = measure(coded([[1.5, -1.0], [0.0, 1.5]]))
    for name in ("float-mse", "float-mse-raw", "float-mse-projected"):
        assert found[name].value == pytest.approx((0.5**2 + 0.5**2) / 4)
        own = found[name].detail["of the code, no bit wrong"]
        assert own == pytest.approx((0.25**2 + 0.5**2) / 4)
    cosine = found["identity-cosine"]
    assert cosine.value == pytest.approx((2.5 / np.sqrt(2 * 3.25) + 1) / 2)
    own = (2.25 / np.sqrt(2 * (1.25**2 + 1)) + 1) / 2
    assert cosine.detail["of the code, no bit wrong"] == pytest.approx(own)
    assert found["bit-error-rate"].value == 0
    assert "of sign" not in found["bit-error-rate"].detail
    _, exact = measure(gallery({}, as_floats=True))
    assert "of the code, no bit wrong" not in exact["float-mse"].detail


def test_a_code_that_overflows_is_guarded_and_told() -> None:
    _, found = measure(coded([[np.nan, 60.0], [np.inf, 1.5]]))
    raw = found["float-mse-raw"]
    assert raw.reason == "not finite in 2 of 2 images: 1 floats read are NaN, 1 infinite"
    assert raw.detail["of the code, no bit wrong"] == pytest.approx((0.25**2 + 0.5**2) / 4)
    assert found["float-mse"].value == pytest.approx((1 + 1 + 0 + 0.5**2) / 4)
    radius = 2 * np.sqrt(2)
    squares = [1, (radius + 1) ** 2, 0, 0.5**2]
    assert found["float-mse-projected"].value == pytest.approx(np.mean(squares))


def test_failed_images_are_left_out_of_every_rate() -> None:
    reduction, found = measure(gallery({0: (0,)}, as_floats=True, failed={"d/1": "boom"}))
    assert found["bit-error-rate"].value == pytest.approx(1 / 256)
    assert found["exact-recovery-rate"].value == 0.75
    assert (reduction.counts.expected, reduction.counts.used) == (5, 4)
    assert reduction.counts.failed == {"boom": 1}


def test_scores_can_be_stored_and_reduced_again(tmp_path) -> None:
    world, bench = gallery({1: (5,)}, as_floats=True), protocol(SPEC)
    scores = bench.score(world, world, "", None)
    np.savez(tmp_path / "scores.npz", **scores)
    loaded = dict(np.load(tmp_path / "scores.npz", allow_pickle=False))
    assert bench.reduce(loaded) == bench.reduce(scores)


def test_a_bad_setting_is_named() -> None:
    with pytest.raises(BadConfig, match="password:images"):
        protocol("password:images=some")
