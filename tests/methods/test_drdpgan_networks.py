"""What DR-DPGAN's networks compute: AdaIN editing, masks, steering, sizes; checkpoints at 256."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from drdpgan_bundles import random_networks, small, write_bundle
from paper_world import filled
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from typer.testing import CliRunner

from anonbench import registry, weights
from anonbench.cli.app import app
from anonbench.errors import BadData, MissingArtefact
from anonbench.generative.models import with_official_priors
from anonbench.generative.priors import D3dfrGeometry
from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.float_bits import floats_to_bits
from anonbench.nets.fusion import AdainConv, FusionDecoder
from anonbench.nets.iresnet import IResNet
from anonbench.nets.stylegan2 import Sizes
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import Part, sample_key
from anonbench_complexity.profile import sizes_of
from anonbench_drdpgan.checkpoints import BUNDLES
from anonbench_drdpgan.method import DrDpgan
from anonbench_drdpgan.networks import FUSION, Build, DrDpganNetworks, steering

TINY = Sizes(image=16, style=8, channel_base=64, channel_max=12)
LARGE = Sizes(image=256, style=16, channel_base=512, channel_max=8)
KEYS = [sample_key(0, "a")]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# ------------------------------------------------------------------------------------ AdaIN, Eq. 8
@torch.no_grad()
def adain_layer() -> AdainConv:
    layer = AdainConv(6, 8)
    for parameter in layer.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    return layer


@torch.no_grad()
def test_adain_is_what_torch_makes_of_its_definition() -> None:
    layer, x, w = adain_layer(), torch.randn(2, 6, 16, 16) * 3 + 1, torch.randn(2, 8)
    noise = torch.randn(2, 1, 16, 16)
    found = layer(x, w, noise)
    by_style = [
        functional.linear(w, part.weight / math.sqrt(8), part.bias)[:, :, None, None]
        for part in (layer.scale, layer.shift)
    ]
    y = functional.instance_norm(x.double()) * by_style[0] + by_style[1]
    y = functional.conv2d(y, layer.conv.weight.double() / math.sqrt(6 * 9), padding=1)
    y = y + noise * layer.noise.weight + layer.activate.bias[:, None, None]
    expected = functional.leaky_relu(y, 0.2) * math.sqrt(2)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    without = layer(x, w, None)
    assert not torch.allclose(without, found, atol=1e-3)


@torch.no_grad()
def test_the_statistics_behind_adain_are_the_styles() -> None:
    layer, w = AdainConv(6, 8), torch.randn(2, 8)
    seen: list[Tensor] = []
    layer.conv.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = torch.randn(2, 6, 16, 16)
    before = x.clone()
    for images in (x, x * 5 - 2):
        layer(images, w, None)
    assert torch.equal(x, before)
    for maps in seen:
        torch.testing.assert_close(maps.mean(dim=(2, 3)), layer.shift(w), rtol=0, atol=1e-4)
        deviation = maps.std(dim=(2, 3), correction=0)
        torch.testing.assert_close(deviation, layer.scale(w).abs(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=1e-3)


def test_adain_takes_the_place_of_the_convolution_behind_the_fusion() -> None:
    small_one = FUSION(TINY, identity=2, geometry=5, rows=(2, 2, 2))
    plain, other = (
        FusionDecoder(replace(small_one, editing=editing)) for editing in ("modulated", "adain")
    )
    kinds = [isinstance(layer, AdainConv) for layer in other.convs]
    assert kinds == [False, True] * 2
    assert not any(isinstance(layer, AdainConv) for layer in plain.convs)
    images, latents = torch.rand(2, 3, 16, 16), torch.randn(2, 6, 8, requires_grad=True)
    other(images, latents, torch.rand(2, 2, 32) < 0.5, None).square().sum().backward()
    assert latents.grad is not None
    assert (latents.grad.abs().amax(dim=2) > 0).all()  # every row steers something
    idle = [name for name, p in other.named_parameters() if p.grad is None]
    assert all(name.endswith("noise.weight") for name in idle), idle


# ------------------------------------------------------------------------------ Eqs. 1, 5 to 7
def test_masks_are_plain_sigmoids_that_let_the_face_through() -> None:
    architecture = Build().architecture
    assert not architecture.mask_norm
    net = FusionDecoder(FUSION(TINY, identity=2, geometry=5, rows=(2, 2, 2))).eval()
    features = [torch.randn(2, TINY.channels(8), 8, 8) for _ in range(3)]
    mask = net.fusion_mask[1]
    logits = functional.conv2d(torch.cat(features, dim=1), mask.conv.weight, mask.conv.bias)
    torch.testing.assert_close(mask(features), torch.sigmoid(logits))
    for one in net.fusion_mask:
        nn.init.zeros_(one.conv.weight)
        nn.init.constant_(one.conv.bias, -100.0)
    images, latents = torch.rand(2, 3, 16, 16), torch.randn(2, 6, 8)
    bits = torch.rand(2, 2, 32) < 0.5
    closed = [net(x, latents, bits, None) for x in (images, -images)]
    assert torch.equal(*closed)
    for one in net.fusion_mask:
        nn.init.constant_(one.conv.bias, 100.0)
    assert not torch.equal(*[net(x, latents, bits, None) for x in (images, -images)])


def test_steering_keeps_the_direction_and_sets_the_length() -> None:
    identity = torch.randn(3, 50) * torch.tensor([[1e-3], [1.0], [50.0]])
    steered = steering(identity)
    torch.testing.assert_close(steered.norm(dim=1), torch.full((3,), 50**0.5))
    cosines = functional.cosine_similarity(steered, identity, dim=1)
    torch.testing.assert_close(cosines, torch.ones(3))
    assert torch.equal(steering(torch.zeros(1, 50)), torch.zeros(1, 50))


def test_a_bundle_says_how_its_networks_are_built(tmp_path: Path) -> None:
    build = small({"editing": "adain", "fusion": False}, code="learned", guided=False)
    networks = random_networks(build)
    path = tmp_path / "b.safetensors"
    save_file(BUNDLES.pack(networks), path)
    read, states = BUNDLES.read(path)
    assert read.build == build
    assert not states
    own, found = networks.state_dict(), read.state_dict()
    assert own.keys() == found.keys()
    assert all(torch.equal(own[key], found[key]) for key in own)


# --------------------------------------------------------------------------------- complexity
def on_meta(parts: Any) -> list[Part]:
    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to("meta")
        return tuple(map(moved, value)) if isinstance(value, list | tuple) else value

    for part in parts:
        part.module.eval().to("meta")
    return [Part(p.name, p.module, moved(p.inputs), p.core) for p in parts]


@torch.no_grad()
def test_the_core_is_as_large_as_g2faces() -> None:
    parts = registry.methods.load("drdpgan").parts(
        registry.methods.parse("drdpgan:checkpoint=trained")
    )
    sizes = sizes_of(on_meta(parts))
    assert sizes["parameters"][sizes["core"]].sum() == 81_185_014
    by_name = dict(zip(sizes["part"].tolist(), sizes["parameters"].tolist(), strict=True))
    assert by_name["fake identity"] == 2 * (512 * 512 + 512)
    assert by_name["style mappers"] == 3 * (659 * 512 + 3 * 512 * 512 + 4 * 512)
    assert sizes["trainable"][-2:].tolist() == [0, 0]
    assert sizes["part"][-2:].tolist() == ["ArcFace r50", "D3DFR"]


@torch.no_grad()
def test_the_demos_and_a_learned_codes_parts_run_without_weights(
    artefact: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact("dlib-resnet")
    load = registry.methods.load("drdpgan")
    bundle = write_bundle(tmp_path / "b.safetensors", small(code="learned"))
    monkeypatch.setenv("ANONBENCH_HOME", str(tmp_path / "empty"))
    parts = load.parts(registry.methods.parse(f"drdpgan:bundle={bundle}"))
    for part in parts:
        assert part.module.eval()(*part.inputs).isfinite().all()
    names = [part.name for part in parts]
    assert len(set(names)) == len(names)
    assert {"binary code mapping", "binary code decoder", "dlib ResNet", "fake identity"} <= set(
        names
    )
    assert [part.name for part in parts if part.core] == ["decoder, encoder, masks"]


# --------------------------------------------------------- checkpoints beside official priors
def large(geometry: int = 147, **changed: Any) -> Build:
    made = FUSION(LARGE, geometry=geometry, extractor_width=8)
    return replace(Build(made), **changed)


def bundle(path: Path, build: Build) -> Path:
    save_file(BUNDLES.pack(random_networks(build)), path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache folder with ArcFace and D3DFR, their weights drawn by rule."""
    folder = tmp_path_factory.mktemp("drdpgan-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANONBENCH_HOME", str(folder / "home"))
        contents = {
            "arcface-r50-ms1mv3": filled(IResNet(50)),
            "d3dfr": {"net_recon": filled(D3dfr())},
        }
        for name, content in contents.items():
            torch.save(content, folder / "download.pth")
            weights.import_file(name, folder / "download.pth")
        yield folder


def test_a_trained_bundle_is_imported_and_works(home: Path, tmp_path: Path) -> None:
    path = bundle(tmp_path / "model.safetensors", large())
    done = CliRunner().invoke(app, ["weights", "import", "drdpgan-trained", str(path)])
    assert done.exit_code == 0, done.output
    stored = load_file(weights.path("drdpgan-trained"))
    assert all(torch.equal(value, stored[key]) for key, value in load_file(path).items())
    method = DrDpgan(registry.methods.parse("drdpgan", "paper"), "cpu")
    face = synthetic_faces(1, 256)
    published, remarks = method.anonymize_with_remarks(face, KEYS)
    assert remarks["converged"].tolist() == [1]
    assert method.extract_bits(published).shape == (1, 16_384)
    assert method.recover(published, KEYS).isfinite().all()
    numbers = method.hidden_numbers(face)
    assert torch.equal(method.hidden_bits(face), floats_to_bits(numbers).flatten(1))
    shown = functional.interpolate(face, (112, 112), mode="nearest")
    expected = method._model.identity.recogniser(shown)
    torch.testing.assert_close(numbers, expected, rtol=1e-3, atol=1e-3)


def test_a_learned_bundle_of_64_expression_coefficients_works(home: Path, tmp_path: Path) -> None:
    path = bundle(tmp_path / "model.safetensors", large(67, code="learned"))
    spec = f"drdpgan:checkpoint=trained-learned:bundle={path}"
    method = DrDpgan(registry.methods.parse(spec), "cpu")
    geometry = method._model.geometry
    assert isinstance(geometry, D3dfrGeometry)
    image = synthetic_faces(1, 256) * 2 - 1
    chosen = [*range(80, 144), 224, 225, 226]
    assert torch.equal(geometry.coefficients(image), geometry.all_coefficients(image)[:, chosen])
    published = method.anonymize(synthetic_faces(1, 256), KEYS)
    assert method.extract_bits(published).shape == (1, 512)
    assert method.recover(published, KEYS).isfinite().all()


def test_networks_for_other_coefficients_are_refused(home: Path) -> None:
    with pytest.raises(BadData, match="want 20 coefficients, the prior gives 147"):
        with_official_priors(random_networks(large(20)))


@pytest.mark.parametrize(
    ("name", "build", "message"),
    [
        ("drdpgan-trained", large(code="learned"), "256 pixels and the code 'learned'"),
        ("drdpgan-trained-learned", large(), "256 pixels and the code 'ieee754'"),
        ("drdpgan-trained", small(), "128 pixels and the code 'ieee754', not for 256"),
    ],
)
def test_a_bundle_for_something_else_is_not_imported(
    anonbench_home: Path, tmp_path: Path, name: str, build: Build, message: str
) -> None:
    path = bundle(tmp_path / "model.safetensors", build)
    with pytest.raises(BadData, match=message):
        weights.import_file(name, path)
    assert not weights.is_present(name)


def test_a_file_that_is_no_bundle_is_not_imported(anonbench_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = BUNDLES.pack(random_networks(small()))
    del tensors["networks.fake_identity.hidden.bias"]
    save_file(tensors, path)
    with pytest.raises(BadData, match=r"1 missing: fake_identity\.hidden\.bias"):
        weights.import_file("drdpgan-trained", path)
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(BadData, match="no bundle of DR-DPGAN weights"):
        weights.import_file("drdpgan-trained", path)
    assert not weights.is_present("drdpgan-trained")


def test_the_paper_suite_asks_for_all_weights_first(anonbench_home: Path) -> None:
    command = ["run", "--method", "drdpgan", "--protocol", "lfw-tar", "--suite", "paper"]
    done = CliRunner().invoke(app, command)
    text = " ".join(str(done.exception).split())
    assert isinstance(done.exception, MissingArtefact)
    for name, file in (
        ("drdpgan-trained", "model.safetensors"),
        ("arcface-r50-ms1mv3", "ms1mv3_arcface_r50.pth"),
        ("d3dfr", "epoch_20.pth"),
    ):
        assert f"{file}: https://" in text
        assert f"anonbench weights import {name} {file}" in text
    assert "nobody has published weights of it" in text
    assert "anonbench train drdpgan --config paper" in text
    assert "neither other weights nor random ones" in text
    with pytest.raises(MissingArtefact, match="drdpgan-trained-learned"):
        DrDpgan(registry.methods.parse("drdpgan:checkpoint=trained-learned"), "cpu")
    assert not list(anonbench_home.rglob("*.safetensors"))


def test_networks_without_a_learned_code_have_none() -> None:
    plain, learned = (DrDpganNetworks(small(code=code)) for code in ("ieee754", "learned"))
    extra = {key for key in learned.state_dict() if key not in plain.state_dict()}
    assert extra and all(key.startswith("learned_code.") for key in extra)
