"""The losses, each beside an independent statement of it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from anonbench.training import losses


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_reconstruction_sums_or_averages_over_an_image():
    output, target = randn(3, 3, 4, 4), randn(3, 3, 4, 4, seed=1)
    norms = np.abs(output.numpy() - target.numpy()).reshape(3, -1).sum(axis=1)
    summed = losses.reconstruction_l1(output, target, "sum")
    assert summed.item() == pytest.approx(norms.mean(), rel=1e-6)
    mean = losses.reconstruction_l1(output, target, "mean")
    assert mean.item() == pytest.approx(nn.L1Loss()(output, target).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "sign"), [(losses.cosine_towards, 1.0), (losses.cosine_away, -1.0)]
)
def test_identity_losses_are_cosine_embedding_losses(loss, sign):
    a, b = randn(32, 16).requires_grad_(), randn(32, 16, seed=1)
    reference = nn.CosineEmbeddingLoss(margin=0.0)(a, b, torch.full((32,), sign))
    found = loss(a, b)
    assert found.item() == pytest.approx(reference.item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(found, a)
    (expected,) = torch.autograd.grad(reference, a)
    torch.testing.assert_close(gradient, expected)


def test_identity_losses_at_their_ends():
    a = torch.tensor([[3.0, 4.0]])
    assert losses.cosine_towards(a, 7 * a).item() == pytest.approx(0, abs=1e-6)
    assert losses.cosine_towards(a, -a).item() == pytest.approx(2)
    assert losses.cosine_away(a, 7 * a).item() == pytest.approx(1)
    assert losses.cosine_away(a, -a).item() == 0


def test_diversity_is_the_mean_over_ordered_pairs_or_over_the_whole_matrix():
    # Cosines: 0.6 between the first two, 0.8 between the last two, -1 and -0.6 with the others.
    embeddings = torch.tensor([[2.0, 0.0], [0.6, 0.8], [0.0, 5.0], [-1.0, 0.0]])
    cosines = 0.6 + 0.0 + 0.8  # (0, 1), (0, 2), (1, 2); what is below zero does not count
    pairs, whole = (losses.diversity(embeddings, over).item() for over in ("pairs", "all"))
    assert pairs == pytest.approx(2 * cosines / (4 * 3), rel=1e-6)
    assert whole == pytest.approx(2 * cosines / 4**2, rel=1e-6)


def test_one_identity_alone_is_diverse():
    for over in ("pairs", "all"):
        assert losses.diversity(randn(1, 8), over).item() == 0


def test_diversity_drives_alike_identities_apart():
    embeddings = (torch.ones(4, 8) + 0.1 * randn(4, 8)).requires_grad_()
    optimizer = torch.optim.SGD([embeddings], lr=1.0)
    assert losses.diversity(embeddings, "pairs") > 0.9
    for _ in range(300):
        optimizer.zero_grad()
        losses.diversity(embeddings, "pairs").backward()
        optimizer.step()
    assert losses.diversity(embeddings, "pairs") < 0.1


def test_hiding_is_binary_cross_entropy():
    logits = torch.tensor([[0.0, 2.0], [-3.0, 100.0]])
    bits = torch.tensor([[True, True], [False, False]])
    expected = (math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-3)) + 100) / 4
    assert losses.hiding_loss(logits, bits).item() == pytest.approx(expected, rel=1e-6)
    assert losses.hiding_loss(logits, bits.int()).item() == pytest.approx(expected, rel=1e-6)


def test_adversarial_losses_are_cross_entropies_of_real_and_fake():
    real, fake = randn(6, 1), randn(6, 1, seed=1)
    bce = nn.BCEWithLogitsLoss()
    assert losses.generator_loss(fake).item() == pytest.approx(bce(fake, torch.ones(6, 1)).item())
    both = bce(real, torch.ones(6, 1)) + bce(fake, torch.zeros(6, 1))
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(both.item())
    assert losses.generator_loss(torch.tensor([-1e4])).item() == pytest.approx(1e4)


def small_discriminator() -> nn.Sequential:
    torch.manual_seed(2)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(16, 1))
    return layers.double()


def test_r1_is_the_squared_gradient_by_finite_differences():
    net, images = small_discriminator(), randn(2, 3, 4, 4).double()
    step, squares = 1e-5, 0.0
    with torch.no_grad():
        for place in range(images[0].numel()):
            shift = torch.zeros(images[0].numel()).double()
            shift[place] = step
            up, down = (net(images + s * shift.view_as(images[0])) for s in (1, -1))
            squares += ((up - down) / (2 * step)).square().sum().item()
    images.requires_grad_()
    assert losses.r1_penalty(net(images), images).item() == pytest.approx(squares / 2, rel=1e-5)


def test_r1_trains_the_discriminator():
    net, images = small_discriminator(), randn(2, 3, 4, 4).double().requires_grad_()
    penalty = losses.r1_penalty(net(images), images)
    weights = [net[0].weight, net[3].weight]
    gradients = torch.autograd.grad(penalty, weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= 1e-2 * gradient / gradient.norm()
    assert losses.r1_penalty(net(images), images) < penalty


UNARY = [losses.generator_loss, lambda x: losses.diversity(x, "pairs")]
BINARY = [
    losses.cosine_towards,
    losses.cosine_away,
    losses.discriminator_loss,
    lambda a, b: losses.reconstruction_l1(a, b, "sum"),
    lambda a, b: losses.hiding_loss(a, b > 0),
]


@pytest.mark.parametrize("loss", UNARY + [lambda a, f=f: f(a, a.flip(0)) for f in BINARY])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_changes_no_loss(loss, dtype):
    logits = randn(64, 512).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(logits)
    found.backward()
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(logits.detach().float()).item(), rel=1e-6)
    assert logits.grad is not None
    assert logits.grad.isfinite().all() and logits.grad.count_nonzero()
