"""FALCO's optimisation: what it descends, what it changes, and how fast."""

from collections.abc import Callable

import pytest
import torch
from falco_world import SIZES, small_networks
from torch import Tensor, nn
from torchvision import transforms

from anonbench.testing.inputs import synthetic_faces
from anonbench_falco.checkpoints import Networks
from anonbench_falco.optimise import Losses, Objective, Step, Target, optimise
from anonbench_falco.perception import Perception
from anonbench_falco.settings import Ranges


@pytest.fixture(scope="module")
def networks() -> Networks:
    return small_networks()


@pytest.fixture(scope="module")
def face() -> Tensor:
    return synthetic_faces(1, 96)


@pytest.fixture(scope="module")
def codes() -> Tensor:
    return torch.randn(1, SIZES.latents, SIZES.style, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def objective(networks: Networks) -> Callable[..., Objective]:
    def build(margin: float = 0.0, ranges: Ranges = "authors") -> Objective:
        perception = Perception(networks.recogniser, networks.attributes, ranges)
        return Objective(networks.generator, perception, margin)

    return build


def run(objective: Objective, face: Tensor, codes: Tensor, steps: int) -> tuple[Tensor, Losses]:
    target = objective.target(face)
    found = optimise(Step(objective), codes, target, steps, lambda: None)
    return found, objective(objective.draw(found), target)


def test_the_loss_falls_and_only_the_codes_3_to_7_change(
    objective: Callable[..., Objective], face: Tensor, codes: Tensor
) -> None:
    before = codes.clone()
    _, at_first = run(objective(), face, codes, 0)
    found, at_last = run(objective(), face, codes, 25)
    assert at_last.total < 0.7 * at_first.total
    changed = (found != codes).any(dim=2)[0].nonzero().flatten()
    assert changed.tolist() == [3, 4, 5, 6, 7]
    assert torch.equal(codes, before)


@pytest.mark.parametrize("margin", [0.0, 0.5, 0.9])
def test_the_identity_comes_near_the_margin(
    objective: Callable[..., Objective], face: Tensor, codes: Tensor, margin: float
) -> None:
    _, at_last = run(objective(margin), face, codes, 25)
    assert float(at_last.cosine) == pytest.approx(margin, abs=0.05)


class Slope(nn.Module):
    """A gradient that is always the same: Adam then moves by its learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, codes: Tensor, identity: Tensor, tokens: Tensor) -> Tensor:
        self.seen.append(codes[:, 3:8].clone())
        return torch.ones_like(codes[:, 3:8])


def test_the_learning_rate_falls_after_37_and_45_of_50_steps() -> None:
    slope = Slope()
    start = torch.zeros(1, 18, 512, dtype=torch.float64)
    target = Target(torch.zeros(1), torch.zeros(1))
    ticks: list[int] = []
    last = optimise(slope, start, target, 50, lambda: ticks.append(1))
    places = torch.stack([*slope.seen, last[:, 3:8]])
    moved = (places[:-1] - places[1:])[:, 0, 0, 0]
    expected = [0.01] * 37 + [0.008] * 8 + [0.0064] * 5
    torch.testing.assert_close(moved, moved.new_tensor(expected), rtol=1e-6, atol=0)
    assert len(ticks) == 50


def test_the_losses_are_those_of_the_authors_code(
    networks: Networks, objective: Callable[..., Objective], face: Tensor
) -> None:
    """Written down from its facts: the original is in [0, 1] there, what is generated in [-1, 1].

    The recogniser's crop is given to it as it is, and FaRL's mean and deviation are left out.
    """
    drawn = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    to_256, to_32 = (transforms.Resize(side, antialias=True) for side in (256, 32))
    pool = nn.AdaptiveAvgPool2d(112)
    first, second = (
        networks.recogniser.core(pool(to_256(image)[:, :, 35:223, 32:220]))
        for image in (face, drawn)
    )
    cosine = nn.functional.cosine_similarity(first, second)
    one, other = (
        networks.attributes.tokens(to_32(image), standardise=False) for image in (face, drawn)
    )
    attributes = sum(nn.L1Loss()(one[:, i], other[:, i]) for i in range(one.shape[1]))
    found = objective(0.25)((drawn + 1) / 2, objective().target(face))
    torch.testing.assert_close(found.cosine, cosine)
    torch.testing.assert_close(found.attributes[0], attributes)
    torch.testing.assert_close(found.total, 10 * (cosine - 0.25).abs() + 0.1 * attributes)


def test_in_the_ranges_of_training_an_image_is_itself(
    objective: Callable[..., Objective], face: Tensor
) -> None:
    trained, authors = objective(ranges="trained"), objective(ranges="authors")
    same = trained(face, trained.target(face))
    assert float(same.cosine) == pytest.approx(1, abs=1e-5)
    assert float(same.attributes) == 0
    paler = authors(face, authors.target(face))
    assert float(paler.cosine) < 0.99
    assert float(paler.attributes) > 0.01
