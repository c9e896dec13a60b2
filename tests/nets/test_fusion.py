from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from anonbench.errors import BadConfig
from anonbench.nets.fusion import (
    Architecture,
    FaceEncoder,
    FusionDecoder,
    PasswordExtractor,
    StyleMappers,
)
from anonbench.nets.stylegan2 import Sizes

# 16 pixels hold 64 bits: two floats.
SIZES = Sizes(image=16, style=8, channel_base=64, channel_max=12)
SMALL = Architecture(SIZES, identity=2, geometry=5, rows=(2, 2, 2))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def inputs(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    images = torch.rand(batch, 3, 16, 16) * 2 - 1
    return images, torch.randn(batch, SIZES.latents, SIZES.style), torch.rand(batch, 2, 32) < 0.5


def test_published_size() -> None:
    with torch.device("meta"):
        net = FusionDecoder(Architecture())
        arguments = torch.empty(1, 3, 256, 256), torch.empty(1, 14, 512), torch.empty(1, 512, 32)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(*arguments, None)
    assert sum(parameter.numel() for parameter in net.parameters()) == 81_185_014
    assert counter.get_total_flops() / 1e9 == pytest.approx(266.98, abs=0.01)


def test_password_joins_where_its_bits_fit() -> None:
    architecture = Architecture()
    sides = [architecture.sizes.resolutions[level] for level in architecture.password_levels]
    assert sides == [8, 16, 32, 64, 128]


def test_a_smaller_network_from_the_same_classes() -> None:
    sizes = Sizes(image=128, style=16, channel_base=512, channel_max=16)
    architecture = Architecture(sizes, identity=128, geometry=20, rows=(4, 4, 4))
    net, mappers = FusionDecoder(architecture), StyleMappers(architecture)
    assert [i.conv.in_channels for i in net.hiding_injects[::2]] == [64, 16, 4, 1]
    bits = torch.rand(1, 128, 32) < 0.5
    with torch.no_grad():
        latents = mappers(torch.randn(1, 128), torch.randn(1, 20))
        image = net(torch.rand(1, 3, 128, 128), latents, bits, None)
        logits = PasswordExtractor(width=8, depth=1)(image)
    assert latents.shape == (1, 12, 16)
    assert image.shape == (1, 3, 128, 128)
    assert logits.shape == bits.shape


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadConfig, match="identity of 128 floats"):
        Architecture(replace(Sizes(), image=128), rows=(4, 4, 4))
    with pytest.raises(BadConfig, match="12"):
        Architecture(replace(Sizes(), image=128), identity=128)


def by_instance_norm(level: nn.Module, x: Tensor, stride: int) -> Tensor:
    def part(module: nn.Module, x: Tensor, stride: int) -> Tensor:
        y = functional.conv2d(x, module.conv.weight, module.conv.bias, stride=stride, padding=1)
        return functional.instance_norm(y)

    main = functional.leaky_relu(part(level.conv1, x, 1), 0.2)
    main = functional.leaky_relu(part(level.conv2, main, stride), 0.2)
    return (main + part(level.skip, x, stride)) / 2**0.5


def test_encoder_is_accurate_far_from_zero_mean() -> None:
    encoder = FaceEncoder(SIZES, norm=True)
    images = torch.rand(2, 3, 16, 16) * 0.1 + 0.9
    features = encoder(images)
    x = images.double()
    for index, (level, feature) in enumerate(zip(encoder.double(), features, strict=True)):
        x = by_instance_norm(level, x, stride=2 if index else 1)
        assert feature.shape[1:] == (SIZES.channels(16 >> index), 16 >> index, 16 >> index)
        torch.testing.assert_close(feature.double(), x, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_encoder_stays_near_under_autocast() -> None:
    encoder = FaceEncoder(
        Sizes(image=64, channel_base=512, channel_max=16), norm=True
    )  # large maps and small
    images = torch.rand(2, 3, 64, 64)
    exact = encoder(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(images)
    for fine, coarse in zip(exact, rough, strict=True):
        assert coarse.dtype == torch.bfloat16
        assert (fine - coarse).abs().mean() < 0.02


@pytest.mark.parametrize("selects", ["generated", "face"])
def test_a_full_mask_selects_what_it_should(selects: str) -> None:
    net = FusionDecoder(replace(SMALL, mask_norm=False, mask_selects=selects)).eval()
    for mask in net.fusion_mask:
        nn.init.zeros_(mask.conv.weight)
        nn.init.constant_(mask.conv.bias, 100.0)
    images, latents, bits = inputs()
    first, second = net(images, latents, bits, None), net(-images, latents, bits, None)
    assert torch.equal(first, second) == (selects == "generated")


def test_password_counts_once_its_gain_is_learned() -> None:
    net = FusionDecoder(SMALL).eval()
    images, latents, bits = inputs()
    assert torch.equal(net(images, latents, bits, None), net(images, latents, ~bits, None))
    for injector in net.hiding_injects:
        nn.init.constant_(injector.weight, 0.5)
    flipped = bits.clone()
    flipped[1, 1, 31] ^= True
    before, after = (net(images, latents, password, None) for password in (bits, flipped))
    torch.testing.assert_close(before[0], after[0])
    assert (before[1] - after[1]).abs().max() > 1e-3


def test_autocast_stays_near_and_every_parameter_learns() -> None:
    net = FusionDecoder(SMALL)
    for injector in net.hiding_injects:
        nn.init.constant_(injector.weight, 0.5)
    images, latents, bits = inputs()
    exact = net(images, latents, bits, None)
    with torch.autocast("cpu", torch.bfloat16):
        rough = net(images, latents, bits, None)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05 * exact.std()
    rough.square().sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None]
    assert all(name.endswith("noise.weight") for name in idle), idle


def test_mappers_steer_their_own_layers() -> None:
    mappers = StyleMappers(replace(SMALL, rows=(1, 3, 2)))
    latents = mappers(torch.randn(2, 2), torch.randn(2, 5))
    assert latents.shape == (2, 6, 8)
    same = (latents[:, 1:] == latents[:, :-1]).all(dim=2)
    assert same.tolist() == [[False, True, True, False, True]] * 2


@torch.no_grad()
def test_without_fusion_the_original_stays_out_and_the_password_still_goes_in() -> None:
    net = FusionDecoder(replace(SMALL, fusion=False))
    for injector in net.hiding_injects:
        nn.init.ones_(injector.weight)
    assert not any(key.startswith(("pyramid", "fusion_mask")) for key in net.state_dict())
    images, latents, bits = inputs()
    image = net(images, latents, bits, None)
    assert torch.equal(image, net(-images, latents, bits, None))
    changed = (image - net(images, latents, ~bits, None)).abs().amax(dim=(1, 2, 3))
    assert (changed > 1e-4).all()


@torch.no_grad()
def test_a_plain_extractor_has_five_convolutions_one_after_another() -> None:
    extractor = PasswordExtractor("plain", width=8).eval()
    layers = [module for module in extractor.modules() if isinstance(module, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == [
        (3, 8), (8, 8), (8, 8), (8, 8), (8, 1),
    ]  # fmt: skip
    assert extractor(torch.rand(2, 3, 16, 16)).shape == (2, 2, 32)
