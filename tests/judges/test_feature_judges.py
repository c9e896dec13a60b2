"""Judges whose features tell sets of images apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from anonbench import registry, weights
from anonbench.engine import models
from anonbench.errors import MissingArtefact, WrongHash
from anonbench.judges import features
from anonbench.judges.features import FarlFeatures, InceptionFeatures
from anonbench.metrics.frechet import Moments, frechet_distance, kernel_distance
from anonbench.nets.farl import Farl, Geometry
from anonbench.nets.inception_fid import InceptionFid
from anonbench.nets.lpips import Lpips
from anonbench.weights.convert import save


def crops(count: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")


@pytest.fixture
def vgg16(artefact: Callable[[str], Path]):
    artefact("lpips-vgg")
    return models.describer(registry.judges.card("vgg16"), "cpu")


@pytest.fixture
def inception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InceptionFeatures:
    torch.manual_seed(0)
    file = tmp_path / "inception.safetensors"
    save(InceptionFid().state_dict(), file)
    monkeypatch.setattr(weights, "path", lambda name: file)
    return InceptionFeatures(registry.judges.card("inception-fid"), "cpu")


def test_vgg16_is_torchvisions_last_convolution_averaged(vgg16) -> None:
    reference = torchvision.models.vgg16().features[:30].eval()
    ours = Lpips.load("vgg").trunk.state_dict().values()
    names = list(reference.state_dict())
    reference.load_state_dict(dict(zip(names, ours, strict=True)))
    standardised = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    images = crops(2, 256)
    small = torchvision.transforms.functional.resize(images, [224, 224], antialias=True)
    with torch.inference_mode():
        expected = reference(standardised(small)).mean(dim=(2, 3))
        found = vgg16.describe(images)["features"]
    assert found.shape == (2, vgg16.card.traits["features"])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_vgg16_sees_more_blur_as_farther_away(vgg16) -> None:
    images = crops(4) + 0.1 * torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(9))

    def described(sigma: float) -> np.ndarray:
        blur = torchvision.transforms.GaussianBlur(13, sigma) if sigma else torch.nn.Identity()
        return vgg16.describe(blur(images).clamp(0, 1))["features"].numpy()

    def moments(values: np.ndarray) -> Moments:
        found = Moments(values.shape[1])
        found.add(values)
        return found

    sharp, little, much = (described(sigma) for sigma in (0, 0.5, 3))
    to_sharp = [frechet_distance(moments(sharp), moments(x)) for x in (sharp, little, much)]
    assert to_sharp[0] == pytest.approx(0, abs=1e-9)
    assert to_sharp[0] < to_sharp[1] < to_sharp[2]
    kernel = [kernel_distance(sharp, x, paired=True).mean for x in (sharp, little, much)]
    assert kernel[0] == pytest.approx(0, abs=1e-9)
    assert kernel[0] < kernel[1] < kernel[2]


def test_inception_describes_image_by_image(inception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_AT_ONCE", 2)
    images = crops(3)
    together = inception.describe(images)["features"]
    assert together.shape == (3, 2048)
    assert together.isfinite().all() and (together >= 0).all()
    alone = torch.cat([inception.describe(image[None])["features"] for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1])


def test_farl_sees_whole_crops_at_224_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = Farl(Geometry(width=24, depth=1, heads=2, features=8)).eval()
    monkeypatch.setattr(Farl, "load", lambda device: net)
    monkeypatch.setattr(features, "_AT_ONCE", 2)
    judge = FarlFeatures(registry.judges.card("farl"), "cpu")
    images = crops(3, 256) + 0.1 * torch.rand(3, 3, 256, 256)
    found = judge.describe(images)["features"]
    expected = net(torchvision.transforms.Resize(224, antialias=True)(images))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("name", ["farl", "inception-fid", "vgg16"])
def test_without_weights_the_command_that_brings_them(name: str, anonbench_home: Path) -> None:
    card = registry.judges.card(name)
    with pytest.raises(MissingArtefact, match=f"anonbench fetch {card.weights[0]}"):
        registry.judges.load(name)(card, "cpu")


def test_only_the_published_inception_is_taken(anonbench_home: Path, tmp_path: Path) -> None:
    other = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(InceptionFid().state_dict(), other)
    with pytest.raises(WrongHash):
        weights.import_file("inception-fid", other)
    (part,) = weights.catalogue()["inception-fid"].parts
    assert part.file.endswith(f"-{part.sha256[:8]}.pth")
