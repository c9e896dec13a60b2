"""StyleGAN2 by genforce: a generator written from the facts about it, and its file imported.

The facts: `models/stylegan2_generator.py` of genforce/genforce (MIT), which computes as NVIDIA's
official code: styles scale weights, sample by sample; a convolution that doubles the size is the
plain one turned by 180 degrees and transposed. Checkpoints hold it as `generator_smooth`.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from network_facts import millions, on_meta
from torch import Tensor
from torch.nn import functional

from anonbench import weights
from anonbench.errors import BadData
from anonbench.nets.stylegan2 import Generator, Sizes, truncate
from anonbench.nets.stylegan2_files import from_genforce, load_generator
from anonbench.weights.importers import stylegan2_state

SMALL = Sizes(image=16, style=8, channel_base=64, channel_max=12)
FULL = Sizes(1024)
DEPTH = 8


def genforce_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """The layout of genforce's generator."""
    w, channels = sizes.style, [sizes.channels(side) for side in sizes.resolutions]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(DEPTH):
        shapes |= {f"mapping.dense{layer}.weight": (w, w), f"mapping.dense{layer}.bias": (w,)}
    shapes |= {
        "truncation.w_avg": (w,),
        "synthesis.early_layer.const": (1, channels[0], 4, 4),
        "synthesis.upsample.kernel": (1, 1, 4, 4),
    }

    def block(name: str, inputs: int, outputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
        return {
            f"synthesis.{name}.weight": (outputs, inputs, kernel, kernel),
            f"synthesis.{name}.bias": (outputs,),
            f"synthesis.{name}.style.weight": (inputs, w),
            f"synthesis.{name}.style.bias": (inputs,),
        }

    for layer in range(2 * len(channels) - 1):
        level, up = (layer + 1) // 2, layer % 2
        shapes |= block(f"layer{layer}", channels[level - up], channels[level], 3)
        shapes[f"synthesis.layer{layer}.noise"] = (1, 1, *[sizes.resolutions[level]] * 2)
        shapes[f"synthesis.layer{layer}.noise_strength"] = ()
        if up:
            shapes[f"synthesis.layer{layer}.filter.kernel"] = (1, 1, 4, 4)
        else:
            shapes |= block(f"output{level}", channels[level], 3, 1)
    return shapes


def genforce_state(sizes: Sizes) -> dict[str, Tensor]:
    """Random numbers in that layout; every one of them matters to the image."""
    generator = torch.Generator().manual_seed(0)
    state = {k: torch.randn(s, generator=generator) for k, s in genforce_shapes(sizes).items()}
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    for key in state:
        if key.endswith("kernel"):
            state[key] = (torch.outer(taps, taps) / 16)[None, None]  # sums to four
        if key.startswith("mapping"):
            state[key] *= 100  # of a layer that learns at a hundredth of the others' rate
    return state


def dense(x: Tensor, state: dict[str, Tensor], name: str, rate: float = 1.0) -> Tensor:
    weight = state[f"{name}.weight"] * rate / math.sqrt(x.shape[1])
    return x @ weight.T + state[f"{name}.bias"] * rate


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x < 0, x * 0.2, x) * math.sqrt(2)


def genforce_map(state: dict[str, Tensor], z: Tensor) -> Tensor:
    w = z / z.square().mean(1, keepdim=True).add(1e-8).sqrt()
    for layer in range(DEPTH):
        w = lrelu(dense(w, state, f"mapping.dense{layer}", 0.01))
    return w


def filtered(x: Tensor, kernel: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    rows = functional.pad(x, padding).flatten(0, 1)[:, None]
    return functional.conv2d(rows, kernel).unflatten(0, x.shape[:2])[:, :, 0]


def modulated(x: Tensor, w: Tensor, state: dict[str, Tensor], name: str, plain: bool) -> Tensor:
    """One block for one sample."""
    weight = state[f"{name}.weight"]
    weight = (
        weight
        / math.sqrt(weight[0].numel())
        * (dense(w, state, f"{name}.style") + 1).view(1, -1, 1, 1)
    )
    if not plain:
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).add(1e-8).sqrt()
    if f"{name}.filter.kernel" in state:
        x = functional.conv_transpose2d(x, weight.transpose(0, 1).flip(2, 3), stride=2)
        x = filtered(x, state[f"{name}.filter.kernel"], (1, 1, 1, 1))
    else:
        x = functional.conv2d(x, weight, padding=weight.shape[2] // 2)
    if not plain:
        x = x + state[f"{name}.noise"] * state[f"{name}.noise_strength"]
    x = x + state[f"{name}.bias"].view(1, -1, 1, 1)
    return x if plain else lrelu(x)


def doubled(image: Tensor, kernel: Tensor) -> Tensor:
    spread = image.new_zeros(*image.shape[:2], image.shape[2] * 2, image.shape[3] * 2)
    spread[..., ::2, ::2] = image
    return filtered(spread, kernel, (2, 1, 2, 1))


def genforce_image(state: dict[str, Tensor], codes: Tensor) -> Tensor:
    """The image `[1, 3, S, S]` of one sample's W+ codes `[1, layers, style]`."""
    x, image = state["synthesis.early_layer.const"], torch.zeros(())
    for layer in range(codes.shape[1] - 1):
        x = modulated(x, codes[:, layer], state, f"synthesis.layer{layer}", False)
        if layer % 2 == 0:
            name = f"synthesis.output{layer // 2}"
            rgb = modulated(x, codes[:, layer + 1], state, name, True)
            image = rgb + doubled(image, state["synthesis.upsample.kernel"]) if layer else rgb
    return image


def flat(shapes: dict[str, tuple[int, ...]], value: float = 0.5) -> dict[str, Tensor]:
    """Tensors of one number each in memory and on disk."""
    return {key: torch.tensor(value).expand(shape) for key, shape in shapes.items()}


def rosinality_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    return {k: tuple(v.shape) for k, v in on_meta(lambda: Generator(sizes)).state_dict().items()}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    def written(content: object) -> Path:
        torch.save(content, tmp_path / "stylegan2_ffhq1024.pth")
        return tmp_path / "stylegan2_ffhq1024.pth"

    return written


@torch.no_grad()
def test_images_are_those_of_genforce() -> None:
    state = genforce_state(SMALL)
    converted = from_genforce(state)
    mean = converted.pop("latent_avg")
    net = Generator(SMALL).eval()
    net.load_state_dict(converted)
    z = torch.randn(3, SMALL.style, generator=torch.Generator().manual_seed(1))
    styles = genforce_map(state, z)
    torch.testing.assert_close(net.map(z), styles, rtol=1e-4, atol=1e-4)
    assert torch.equal(mean, state["truncation.w_avg"])
    codes = styles[:, None] * torch.linspace(0.5, 1.5, SMALL.latents)[:, None]  # one per layer
    codes = truncate(codes, mean, 0.7)
    expected = torch.cat([genforce_image(state, sample) for sample in codes.split(1)])
    assert expected.shape == (3, 3, 16, 16)
    torch.testing.assert_close(net(codes, net.stored_noise()), expected, rtol=1e-3, atol=1e-3)


def test_the_averaged_generator_is_taken_where_there_are_two() -> None:
    small = {"truncation.w_avg": torch.ones(8)}
    both = {"generator": small, "generator_smooth": {"truncation.w_avg": torch.zeros(8)}}
    tensors = {f"{top}.{k}": v for top, inner in both.items() for k, v in inner.items()}
    assert torch.equal(stylegan2_state(tensors, Path("x"))["latent_avg"], torch.zeros(8))


@pytest.mark.parametrize("by", ["genforce", "rosinality"])
def test_the_published_files_of_1024_pixels_are_taken(
    by: str, write: Callable[[object], Path], anonbench_home: Path
) -> None:
    if by == "genforce":
        state = flat(genforce_shapes(FULL))
        content: dict[str, object] = {"generator": flat({"x": (1,)}), "generator_smooth": state}
    else:
        content = {"g_ema": flat(rosinality_shapes(FULL)), "latent_avg": torch.full((512,), 0.5)}
    weights.import_file("stylegan2-ffhq1024", write(content))
    net, mean = load_generator("stylegan2-ffhq1024", FULL)
    assert millions(net) == pytest.approx(30.370, abs=5e-4)
    assert net.sizes.latents == 18 and net.stored_noise()[-1].shape == (1, 1, 1024, 1024)
    assert torch.equal(mean, torch.full((512,), 0.5))
    assert not net.training and not any(value.requires_grad for value in net.parameters())
    added = 1.5 if by == "genforce" else 0.5
    assert (net.convs[15].conv.modulation.bias == added).all()


def test_what_the_file_has_too_many_or_too_few_is_listed(
    write: Callable[[object], Path], anonbench_home: Path
) -> None:
    state = flat(genforce_shapes(FULL) | {"synthesis.layer17.weight": (3, 3)})
    del state["synthesis.layer5.noise_strength"], state["mapping.dense7.bias"]
    with pytest.raises(BadData) as caught:
        weights.import_file("stylegan2-ffhq1024", write({"generator_smooth": state}))
    assert "2 missing: convs.4.noise.weight, style.8.bias." in str(caught.value)
    assert "1 unexpected: convs.16.conv.weight." in str(caught.value)
    assert not weights.is_present("stylegan2-ffhq1024")


def test_a_file_without_the_mean_style_is_refused(
    write: Callable[[object], Path], anonbench_home: Path
) -> None:
    with pytest.raises(BadData, match=r"no mean style of 512 numbers \(latent_avg\)"):
        weights.import_file("stylegan2-ffhq1024", write({"g_ema": flat(rosinality_shapes(FULL))}))
