"""CIAGAN's generator: the fixtures of the original code, identities, spectral norms."""

from pathlib import Path

import pytest
import torch
from network_facts import assert_has_the_keys, gigamacs, millions, on_meta
from torch.nn.functional import one_hot

from anonbench.testing.parity import check_parity
from anonbench_ciagan.networks import Generator, composite


@pytest.fixture(scope="module")
def net() -> Generator:
    torch.manual_seed(0)
    return Generator().eval()


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Landmarks and surroundings, here noise."""
    both = torch.rand(2, 2, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    return both[0], both[1]


def person(*numbers: int) -> torch.Tensor:
    return one_hot(torch.tensor(numbers), 1200).float()


def test_computes_what_the_authors_compute(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "ciagan")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_the_checkpoint(shared: Path) -> None:
    assert_has_the_keys(on_meta(Generator), shared, "ciagan", "generator")


def test_has_the_size_that_its_authors_code_has() -> None:
    net = on_meta(Generator)
    assert millions(net) == pytest.approx(11.801, abs=5e-4)
    small, large = (1, 3, 128, 128), (1, 3, 256, 256)
    assert gigamacs(net, small, small, (1, 1200)) == pytest.approx(1.64, abs=5e-3)
    assert gigamacs(net, large, large, None) == pytest.approx(6.46, abs=5e-3)


@torch.no_grad()
def test_another_identity_gives_another_face(net: Generator, images) -> None:
    first = net(*images, person(3, 4))
    assert first.shape == (2, 3, 128, 128)
    assert torch.equal(net(*images, person(3, 4)), first)
    other = net(*images, person(3, 5))
    assert torch.allclose(other[0], first[0], atol=1e-5)  # each face for itself
    assert (other[1] - first[1]).abs().mean() > 1e-4
    assert (net(*images, None) - first).abs().mean() > 1e-3


@torch.no_grad()
def test_landmarks_and_surroundings_both_count(net: Generator, images) -> None:
    landmarks, surroundings = images
    drawn = net(landmarks, surroundings, None)
    assert (net(landmarks.flip(3), surroundings, None) - drawn).abs().mean() > 1e-3
    assert (net(landmarks, surroundings.flip(3), None) - drawn).abs().mean() > 1e-3


@torch.no_grad()
def test_every_pass_of_training_refines_the_spectral_norms(images) -> None:
    torch.manual_seed(0)
    net = Generator(identities=2)
    conv = net.get_submodule("res1.conv1.conv2d")
    landmarks, surroundings = (part[:1] for part in images)
    for _ in range(30):
        net.train()(landmarks, surroundings, None)
    largest = torch.linalg.matrix_norm(conv.weight.flatten(1), ord=2)
    assert largest == pytest.approx(1, abs=0.02)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    net.eval()(landmarks, surroundings, None)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_the_gradient_reaches_the_surroundings(net: Generator, images) -> None:
    surroundings = images[1][:1].clone().requires_grad_()
    net(images[0][:1], surroundings, person(0))[0, 0, 64, 64].backward()
    assert surroundings.grad is not None
    assert surroundings.grad.isfinite().all()
    assert surroundings.grad.abs().sum() > 0


def test_only_the_masked_part_is_replaced() -> None:
    faces = torch.rand(2, 3, 8, 8)
    generated = torch.full((2, 3, 8, 8), 1.5)
    mask = torch.zeros(8, 8)
    mask[2:6, 3:5] = 1
    published = composite(generated, faces, mask)
    inside = mask.bool().expand(2, 3, 8, 8)
    assert (published[inside] == 1).all()  # clipped
    assert torch.equal(published[~inside], faces[~inside])
