"""RiDDLE's latent encryptor: the fixtures of the original code, passwords, groups of codes."""

from pathlib import Path

import pytest
import torch
from network_facts import assert_has_the_keys, millions, on_meta

from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.testing.parity import check_parity
from anonbench_riddle.networks import LatentEncryptor


@pytest.fixture(scope="module")
def net() -> LatentEncryptor:
    torch.manual_seed(0)
    return LatentEncryptor().eval()


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return torch.randn(2, 14, 512, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def passwords() -> torch.Tensor:
    return torch.randn(2, 512, generator=torch.Generator().manual_seed(2))


def test_computes_what_the_authors_compute(shared: Path) -> None:
    """The encryptor, e4e's encoder (once, as it has 840 MB) and IR-SE50."""
    outcome = check_parity(shared / "parity", "riddle")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_the_checkpoint(shared: Path) -> None:
    assert_has_the_keys(on_meta(LatentEncryptor), shared, "riddle", "mapper")


def test_has_the_size_that_g2face_reports() -> None:
    """40.03 million parameters in its table VII: the encryptor and StyleGAN2 with its mapping."""
    encryptor = millions(on_meta(LatentEncryptor))
    assert encryptor == pytest.approx(9.996, abs=5e-4)
    generator = millions(on_meta(lambda: Generator(Sizes())))
    assert encryptor + generator == pytest.approx(40.03, abs=5e-3)


@torch.no_grad()
def test_another_password_gives_other_codes(net, latents, passwords) -> None:
    encrypted = net(latents, passwords)
    assert encrypted.shape == latents.shape
    assert torch.equal(net(latents, passwords), encrypted)
    other = net(latents, passwords.flip(0))
    assert (other - encrypted).abs().mean() > 0.05


@torch.no_grad()
def test_a_face_depends_on_no_other_of_its_batch(net, latents, passwords) -> None:
    encrypted = net(latents, passwords)
    torch.testing.assert_close(net(latents[1:], passwords[1:]), encrypted[1:], rtol=0, atol=1e-5)
    swapped = net(latents, torch.stack([passwords[1], passwords[1]]))
    torch.testing.assert_close(swapped[1], encrypted[1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_coarse_middle_and_fine_codes_do_not_mix(net, latents, passwords) -> None:
    encrypted = net(latents, passwords)
    for start, end in [(0, 4), (4, 8), (8, 14)]:
        changed = latents.clone()
        changed[:, start] += 1
        moved = (net(changed, passwords) - encrypted).abs().amax(dim=(0, 2))
        assert (moved[start:end] > 1e-3).all()
        assert (moved[:start] < 1e-5).all()
        assert (moved[end:] < 1e-5).all()


@torch.no_grad()
def test_the_place_of_a_code_counts(net, latents, passwords) -> None:
    order = [1, 0, *range(2, 14)]
    swapped = net(latents[:, order], passwords)[:, order]
    assert (swapped - net(latents, passwords))[:, :2].abs().mean() > 0.05


@torch.no_grad()
def test_training_mode_drops_activations_at_random(latents, passwords) -> None:
    torch.manual_seed(0)
    net = LatentEncryptor().train()
    assert not torch.allclose(net(latents, passwords), net(latents, passwords), atol=1e-2)
    net.eval()
    assert torch.equal(net(latents, passwords), net(latents, passwords))
