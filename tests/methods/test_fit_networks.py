"""FIT's generator: the fixtures of the original code, its passwords, its batch statistics."""

from pathlib import Path

import pytest
import torch
from network_facts import assert_has_the_keys, gigamacs, millions, on_meta

from anonbench.errors import BadConfig, BadData
from anonbench.testing.parity import check_parity
from anonbench_fit.networks import Generator, password_bits, password_code


@pytest.fixture(scope="module")
def net() -> Generator:
    torch.manual_seed(0)
    return Generator().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def code(*passwords: int) -> torch.Tensor:
    return password_code(password_bits(torch.tensor(passwords)))


def test_computes_what_the_authors_compute(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "fit")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_the_checkpoint(shared: Path) -> None:
    assert_has_the_keys(on_meta(Generator), shared, "fit", "G")


def test_has_the_size_that_its_authors_code_has() -> None:
    net = on_meta(Generator)
    assert millions(net) == pytest.approx(11.434, abs=5e-4)
    assert gigamacs(net, (1, 3, 256, 256), (1, 16)) == pytest.approx(60.09, abs=5e-3)


@pytest.mark.parametrize("password", [0, 1, 0b1000_0000_0000_0101, 65_535])
def test_bits_are_read_from_the_most_significant(password: int) -> None:
    (bits,) = password_bits(torch.tensor([password]))
    assert "".join(str(int(bit)) for bit in bits) == f"{password:016b}"


@pytest.mark.parametrize("password", [-1, 65_536])
def test_refuses_a_password_of_more_than_16_bits(password: int) -> None:
    with pytest.raises(BadData, match="0 to 65535"):
        password_bits(torch.tensor([5, password]))


@pytest.mark.parametrize(("scheme", "amplitude"), [("half", 0.5), ("one_fourth", 0.25)])
def test_the_code_that_recovers_is_the_negative(scheme, amplitude: float) -> None:
    bits = password_bits(torch.tensor([0, 40_000]))
    seen = password_code(bits, scheme)
    assert torch.equal(seen == amplitude, bits)
    assert torch.equal(password_code(~bits, scheme), -seen)


def test_refuses_a_scheme_that_no_checkpoint_has() -> None:
    with pytest.raises(BadConfig, match="one_third"):
        password_code(password_bits(torch.tensor([1])), "one_third")  # type: ignore[arg-type]


@torch.no_grad()
def test_another_password_gives_another_image(net: Generator, images: torch.Tensor) -> None:
    first = net(images, code(7, 8, 9))
    assert first.shape == images.shape
    assert first.abs().max() <= 1
    assert torch.equal(first, net(images, code(7, 8, 9)))
    other = net(images, code(7, 8, 9 + 2**15))
    assert (first[2] - other[2]).abs().mean() > 1e-3


@torch.no_grad()
def test_an_image_depends_on_the_others_of_its_batch(net: Generator, images: torch.Tensor) -> None:
    alone = net(images[:1], code(7))
    among = net(images, code(7, 8, 9))
    assert (alone[0] - among[0]).abs().mean() > 1e-3
    # Only their mean and variance count: not their order, nor how many copies there are.
    turned = net(images.flip(0), code(9, 8, 7))
    torch.testing.assert_close(turned.flip(0), among, rtol=0, atol=1e-4)
    twice = net(images[[0, 0]], code(7, 7))
    torch.testing.assert_close(twice, alone.expand(2, -1, -1, -1), rtol=0, atol=1e-4)


@torch.no_grad()
def test_training_mode_leaves_no_trace_in_evaluation(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    net, codes = Generator(), code(1, 2, 3)
    before = net.eval()(images, codes)
    trained = net.train()(images, codes)
    assert torch.equal(trained, before)
    assert torch.equal(net.eval()(images, codes), before)
    assert not list(net.buffers())
