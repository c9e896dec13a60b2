import math

import pytest
import torch
from torch import Tensor, nn

from anonbench.errors import BadConfig
from anonbench_drdpgan.fake_identity import (
    FakeIdentity,
    Range,
    hinge,
    identity_loss_floor,
    refine,
    training_loss,
)

N = 24


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def at_angle(cosine: float) -> Tensor:
    """A vector with this cosine to the first axis."""
    return torch.tensor([[cosine, math.sqrt(1 - cosine**2), 0.0]])


@pytest.mark.parametrize(
    ("cosine", "expected"),
    [(-0.5, 0.6), (0.0, 0.1), (0.1, 0.0), (0.25, 0.0), (0.4, 0.0), (0.7, 0.3), (1.0, 0.6)],
)
def test_hinge_is_the_distance_to_the_range(cosine: float, expected: float) -> None:
    original = torch.tensor([[3.0, 0.0, 0.0]])
    found = hinge(original, 2 * at_angle(cosine), 0.1, 0.4)
    torch.testing.assert_close(found, torch.tensor([expected]), atol=1e-7, rtol=0)


def test_hinge_of_borders_that_floats_hold_is_zero() -> None:
    original = torch.tensor([[2.0, 0, 0, 0, 0]])
    dummy = torch.tensor([[1.0, 1, 1, 1, 0], [1, 0, 0, 0, 0]])
    assert hinge(original.expand(2, 5), dummy, 0.5, 1.0).tolist() == [0, 0]


@pytest.mark.parametrize("borders", [(0.4, 0.1), (-1.1, 0.2), (0.2, 1.1), (math.nan, 0.2)])
def test_an_impossible_range_is_refused(borders: tuple[float, float]) -> None:
    with pytest.raises(BadConfig, match="No cosine"):
        Range(*borders)


def test_fake_identities_have_length_one_whatever_the_length_of_the_noise() -> None:
    for noise in (0, 7):
        dummy = FakeIdentity(N, noise)(torch.randn(5, noise or N))
        torch.testing.assert_close(dummy.norm(dim=1), torch.ones(5))


def test_what_is_inside_already_stays_as_it_is() -> None:
    fake, z = FakeIdentity(N), torch.randn(1, N)
    dummy = fake(z).detach()
    beside = torch.nn.functional.normalize(torch.randn(1, N) * (1 - dummy), dim=1)
    beside = torch.nn.functional.normalize(beside - (beside @ dummy.T) * dummy, dim=1)
    found = refine(fake, z, 5 * (0.25 * dummy + math.sqrt(1 - 0.25**2) * beside))
    assert torch.equal(found.identity, dummy)
    assert found.steps.tolist() == [0]
    assert found.converged.tolist() == [True]
    assert found.cosine.item() == pytest.approx(0.25, abs=1e-6)


class _Perceptron(nn.Module):
    """The generator once more, for the independent loop."""

    def __init__(self, fake: FakeIdentity) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(N, N), nn.ReLU(), nn.Linear(N, N))
        self.layers.load_state_dict(
            dict(zip(self.layers.state_dict(), fake.state_dict().values(), strict=True))
        )

    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.layers(z)
        return y / y.norm()


def algorithm_1(fake: FakeIdentity, z: Tensor, identity: Tensor, rate: float) -> tuple[Tensor, int]:
    """The article's listing line by line, for one image."""
    net = _Perceptron(fake)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    for step in range(1000):
        dummy = net(z)
        s = identity @ dummy / (identity.norm() * dummy.norm())
        loss = max(torch.zeros(()), s - 0.4) + max(torch.zeros(()), 0.1 - s)
        if 0.1 <= s <= 0.4:
            return dummy.detach(), step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    raise AssertionError("the reference does not converge")


@pytest.mark.parametrize("start", ["opposite", "equal"])
def test_refinement_is_algorithm_1(start: str) -> None:
    fake, z = FakeIdentity(N), torch.randn(1, N)
    towards = fake(z).detach() * (-1 if start == "opposite" else 1)
    identity = towards + 0.05 * torch.randn(1, N)
    expected, steps = algorithm_1(fake, z[0], identity[0], rate=0.02)
    assert steps > 3
    found = refine(fake, z, identity, rate=0.02)
    assert found.steps.tolist() == [steps]
    assert found.converged.tolist() == [True]
    torch.testing.assert_close(found.identity[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("limit", [0, 1])
def test_the_last_vector_comes_back_when_the_limit_ends(limit: int) -> None:
    fake, z = FakeIdentity(N), torch.randn(1, N)
    identity = 0.02 * torch.randn(1, N) - fake(z).detach()  # of the exact opposite, no way leads
    found = refine(fake, z, identity, limit=limit)
    assert found.converged.tolist() == [False]
    assert found.steps.tolist() == [limit]
    assert torch.equal(found.identity, fake(z).detach()) is (limit == 0)
    agreement = torch.cosine_similarity(found.identity, identity)
    torch.testing.assert_close(found.cosine, agreement)
    assert -1 <= found.cosine.item() < 0.1


@pytest.mark.parametrize("size", [128, 512])
def test_random_identities_all_converge_by_default(size: int) -> None:
    identity = torch.randn(12, size)
    found = refine(FakeIdentity(size), torch.randn(12, size), identity)
    assert found.converged.all()
    agreement = torch.cosine_similarity(found.identity, identity)
    assert ((agreement > 0.0999) & (agreement < 0.4001)).all()
    torch.testing.assert_close(found.identity.norm(dim=1), torch.ones(12))


@torch.no_grad()
def test_no_image_depends_on_its_batch_and_the_generator_stays() -> None:
    size = 129  # rows of this length lie at odd places in memory
    fake, z, identity = FakeIdentity(size, 31), torch.randn(6, 31), torch.randn(6, size)
    before = {name: value.clone() for name, value in fake.state_dict().items()}
    together = refine(fake, z, identity)
    assert len(set(together.steps.tolist())) > 1
    for index in range(6):
        alone = refine(fake, z[index : index + 1], identity[index : index + 1])
        for one, many in zip(alone, together, strict=True):
            assert torch.equal(one[0], many[index])
    assert all(torch.equal(value, before[name]) for name, value in fake.state_dict().items())
    assert all(weight.grad is None for weight in fake.parameters())
    assert not together.identity.requires_grad


def test_training_moves_only_the_generator_and_lowers_the_hinge() -> None:
    fake = FakeIdentity(N)
    identity = torch.randn(1, N).expand(64, N) + 0.1 * torch.randn(64, N)
    identity.requires_grad_()
    z = torch.randn(64, N, requires_grad=True)
    optimizer = torch.optim.SGD(fake.parameters(), lr=0.05)
    first = training_loss(fake, z, identity)
    torch.testing.assert_close(first, hinge(identity, fake(z), 0.1, 0.4).mean())
    for _ in range(100):
        optimizer.zero_grad()
        training_loss(fake, z, identity).backward()
        optimizer.step()
    assert all(weight.grad is not None for weight in fake.parameters())
    assert identity.grad is None
    assert z.grad is None
    assert training_loss(fake, z, identity) < 0.2 * first


def eq_11(x: Tensor, original: Tensor, dummy: Tensor) -> Tensor:
    x = x / x.norm(dim=1, keepdim=True)
    return 1 - x @ dummy + torch.relu(x @ original)


@pytest.mark.parametrize("cosine", [-0.7, -0.1, 0.0, 0.1, 0.25, 0.4, 0.9])
def test_the_floor_of_eq_11_is_what_descent_finds(cosine: float) -> None:
    basis, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))
    original = basis[0]
    dummy = cosine * basis[0] + math.sqrt(1 - cosine**2) * basis[1]
    floor = identity_loss_floor(cosine)
    anywhere = torch.randn(20000, 6, dtype=torch.float64)
    assert eq_11(anywhere, original, dummy).min() >= floor.loss
    x = anywhere[:32].clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.05)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.98)
    for _ in range(400):
        optimizer.zero_grad()
        eq_11(x, original, dummy).sum().backward()
        optimizer.step()
        schedule.step()
    losses = eq_11(x, original, dummy)
    best = torch.nn.functional.normalize(x[losses.argmin()], dim=0)
    assert losses.min().item() == pytest.approx(floor.loss, abs=1e-3)
    assert (best @ dummy).item() == pytest.approx(floor.dummy, abs=2e-3)
    assert (best @ original).item() == pytest.approx(floor.original, abs=2e-2)


def test_no_image_satisfies_both_the_generator_and_eq_11() -> None:
    for cosine in (0.1, 0.25, 0.4):
        floor = identity_loss_floor(cosine)
        assert floor.original == 0 < Range().low
        assert floor.loss > 0
    with pytest.raises(ValueError, match="not a cosine"):
        identity_loss_floor(1.5)
