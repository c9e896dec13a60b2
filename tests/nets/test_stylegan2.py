import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from anonbench.errors import BadConfig
from anonbench.nets.stylegan2 import (
    Discriminator,
    Generator,
    ModulatedConv,
    Sizes,
    append_deviation,
    convolve_up,
    draw_noise,
    truncate,
)
from anonbench.testing.adapters import stylegan2_ffhq256
from anonbench.testing.fixtures import read_fixture
from anonbench.testing.parity import compare_all

SMALL = Sizes(image=16, style=8, channel_base=64, channel_max=12)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def small_generator() -> Generator:
    """With noise and biases that matter."""
    net = Generator(SMALL).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("noise.weight", "activate.bias")):
                parameter.normal_()
    return net


def test_published_generator_computes_the_same(shared) -> None:
    fixture = read_fixture(shared / "parity", "stylegan2_ffhq256")
    comparisons = compare_all(fixture, stylegan2_ffhq256.run)
    assert len(comparisons) == 6
    assert all(comparison.passed for comparison in comparisons), comparisons


def by_modulated_weights(conv: ModulatedConv, x: Tensor, w: Tensor, *, up: bool) -> Tensor:
    """The paper's formulation: weights scaled per sample, normalised, convolved one by one."""
    maps = []
    for sample, style in zip(x, conv.modulation(w), strict=True):
        weight = conv.weight[0] * conv.scale * style[None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).add(1e-8).sqrt()
        if not up:
            maps.append(functional.conv2d(sample[None], weight, padding=1))
            continue
        y = functional.conv_transpose2d(sample[None], weight.transpose(0, 1), stride=2)
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        rows = torch.nn.functional.pad(y, (1, 1, 1, 1)).unfold(2, 4, 1) @ taps
        maps.append(rows.unfold(3, 4, 1) @ taps)
    return torch.cat(maps)


@pytest.mark.parametrize("up", [False, True])
def test_scaled_activations_equal_scaled_weights(up: bool) -> None:
    conv = ModulatedConv(6, 5, 3, 8, up=up)
    x, w = torch.randn(3, 6, 7, 7), torch.randn(3, 8)
    y, factor = conv(x, w)
    expected = by_modulated_weights(conv, x, w, up=up)
    assert y.shape == (3, 5, 14, 14) if up else (3, 5, 7, 7)
    torch.testing.assert_close(y * factor[:, :, None, None], expected, atol=1e-5, rtol=1e-4)


def test_phases_equal_the_transposed_convolution() -> None:
    # Small integers, so that bfloat16 is exact.
    x = torch.randint(-2, 3, (2, 3, 5, 4)).bfloat16()
    kernel = torch.randint(-2, 3, (4, 3, 3, 3)).bfloat16()
    with torch.no_grad():
        by_phases = convolve_up(x, kernel)
    transposed = functional.conv_transpose2d(x.float(), kernel.transpose(0, 1).float(), stride=2)
    assert torch.equal(by_phases.float(), transposed)
    assert torch.equal(convolve_up(x, kernel).float(), transposed)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    net, latents = small_generator(), torch.randn(3, SMALL.latents, SMALL.style)
    together = net(latents, draw_noise(SMALL, generators(1, 2, 3)))
    alone = net(latents[1:2], draw_noise(SMALL, generators(2)))
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


def test_noise_comes_from_the_caller_alone() -> None:
    net, latents = small_generator(), torch.randn(1, SMALL.latents, SMALL.style)
    before = torch.get_rng_state()
    first, again = (net(latents, draw_noise(SMALL, generators(5))) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.equal(first, net(latents, draw_noise(SMALL, generators(6))))
    zeros = [torch.zeros_like(noise) for noise in draw_noise(SMALL, generators(5))]
    assert torch.equal(net(latents, None), net(latents, zeros))


def test_one_style_serves_all_layers_and_truncation_pulls_it_to_the_mean() -> None:
    net = small_generator()
    w, mean = net.map(torch.randn(2, SMALL.style)), torch.randn(1, SMALL.style)
    repeated = w[:, None].repeat(1, SMALL.latents, 1)
    assert torch.equal(net(w, None), net(repeated, None))
    torch.testing.assert_close(truncate(w, mean, 0.0), mean.expand(2, -1))
    torch.testing.assert_close(truncate(w, mean, 0.7), mean + 0.7 * (w - mean))


def test_autocast_keeps_the_image_in_float32_and_near() -> None:
    net, latents = small_generator(), torch.randn(2, SMALL.latents, SMALL.style)
    noise = draw_noise(SMALL, generators(1, 2))
    with torch.no_grad():
        exact = net(latents, noise)
        with torch.autocast("cpu", torch.bfloat16):
            rough = net(latents, noise)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.05 * exact.std()


def test_every_parameter_of_the_decoder_learns() -> None:
    net = small_generator()
    net(net.map(torch.randn(2, SMALL.style)), draw_noise(SMALL, generators(1, 2))).sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


def test_gradient_penalty_reaches_the_discriminator() -> None:
    net = Discriminator(SMALL)
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    assert net.convs[0][0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("batch", "size"), [(1, 1), (2, 2), (6, 3), (8, 4)])
def test_deviation_is_that_of_groups(batch: int, size: int) -> None:
    x = torch.randn(batch, 3, 2, 2)
    appended = append_deviation(x)
    assert torch.equal(appended[:, :3], x)
    groups = batch // size
    for sample in range(batch):
        members = x.numpy()[sample % groups :: groups]
        expected = np.sqrt(members.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(appended[sample, 3], expected, rtol=1e-5)


def test_image_size_must_be_a_power_of_two() -> None:
    with pytest.raises(BadConfig, match="200"):
        Sizes(image=200)
