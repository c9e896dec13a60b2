"""LPIPS with its published weights; `anonbench parity` compares the network with the package."""

from collections.abc import Callable
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
from PIL import Image

from anonbench.nets.lpips import Lpips, Trunk
from anonbench.testing.parity import check_parity

Loader = Callable[[Trunk], Lpips]


@pytest.fixture(scope="module")
def load(artefact: Callable[[str], Path]) -> Loader:
    models: dict[str, Lpips] = {}

    def get(net: Trunk) -> Lpips:
        artefact(f"lpips-{net}")
        return models.setdefault(net, Lpips.load(net))

    return get


def images(count: int, size: int = 40) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_readme_of_the_authors_prints_these_distances(load: Loader, shared: Path) -> None:
    def read(name: str) -> torch.Tensor:
        pixels = np.asarray(Image.open(shared / "reference/lpips-examples" / name).convert("RGB"))
        return torch.tensor(pixels).permute(2, 0, 1)[None] / 127.5 - 1

    distances = load("alex")(
        read("ex_ref.png").expand(2, -1, -1, -1), torch.cat([read("ex_p0.png"), read("ex_p1.png")])
    )
    assert [round(value, 3) for value in distances.tolist()] == [0.722, 0.138]


def test_computes_what_the_package_computes(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "lpips")
    assert outcome.verdict == "passed"
    assert len(outcome.comparisons) == 4


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_package_gives_the_same_distances_on_the_same_trunk(load: Loader, net: Trunk) -> None:
    ours, (a, b) = load(net), images(4, size=64).chunk(2)
    package = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    trunk = package.net.state_dict()
    package.net.load_state_dict(dict(zip(trunk, ours.trunk.state_dict().values(), strict=True)))
    with torch.inference_mode():
        torch.testing.assert_close(ours(a, b), package(a, b).flatten(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_heads_are_those_of_the_package(load: Loader, shared: Path, net: Trunk) -> None:
    with np.load(shared / "parity/lpips.npz") as fixtures:
        for index, head in enumerate(load(net).heads):
            expected = fixtures[f"in.{net}.lin{index}.model.1.weight"]
            np.testing.assert_array_equal(head.weight.numpy(), expected)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_features_of_a_target_serve_every_output(load: Loader, net: Trunk) -> None:
    model, (a, b) = load(net), images(4).chunk(2)
    target = model.features(b)
    assert torch.equal(model.distance(model.features(a), target), model(a, b))
    assert torch.equal(model.distance(target, target), torch.zeros(2))
    torch.testing.assert_close(model(b, a), model(a, b))


def test_a_step_along_the_gradient_comes_closer(load: Loader) -> None:
    model, (a, b) = load("alex"), images(2).chunk(2)
    a = a.requires_grad_()
    distance = model(a, b)
    (gradient,) = torch.autograd.grad(distance, a)
    assert model(a - gradient / gradient.norm(), b) < 0.9 * distance


def test_autocast_keeps_the_distance_in_float32(load: Loader) -> None:
    model, (a, b) = load("vgg"), images(2).chunk(2)
    with torch.autocast("cpu", torch.bfloat16):
        distance = model(a, b)
    assert distance.dtype == torch.float32
    assert distance.item() == pytest.approx(model(a, b).item(), rel=0.02)


def test_stays_frozen_in_a_network_that_trains(load: Loader) -> None:
    trainer = torch.nn.ModuleList([load("alex")]).train()
    assert not any(parameter.requires_grad for parameter in trainer.parameters())
    assert not any(module.training for module in trainer[0].modules())
