"""The priors of the demo against independent references, and what the official ones ask for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from generative_world import face_points, toy_crops
from safetensors.torch import save_file
from sklearn.decomposition import PCA

from anonbench import registry, weights
from anonbench.data.align import map_face, most_central, template
from anonbench.data.images import read_image
from anonbench.engine import models
from anonbench.errors import BadData
from anonbench.generative import training_priors
from anonbench.generative.demo_fit import (
    energy_distance,
    fit_dummy,
    fit_identity,
    fit_landmarks,
)
from anonbench.generative.demo_priors import DemoIdentity, LandmarkPrior
from anonbench.generative.views import signed
from anonbench.nets.fusion import Architecture, FusionDecoder
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.training.crops import Crops
from anonbench_g2face.networks import DummyIdentity

PEOPLE = ("Colin_Powell", "Serena_Williams", "Tony_Blair")
SMALL = Architecture(Sizes(32, 16, 128, 8), identity=8, geometry=4, rows=(4, 2, 2))


@pytest.fixture(scope="module")
def photographs(shared: Path) -> list[Path]:
    folder = shared / "data" / "lfw" / "lfw-deepfunneled"
    return [folder / name / f"{name}_{number:04d}.jpg" for name in PEOPLE for number in (1, 2)]


@pytest.fixture(scope="module")
def found(photographs: list[Path], artefact: Callable[[str], Path]) -> Crops:
    """Crops of real faces."""
    for name in ("dlib-shape-predictor-5", "dlib-shape-predictor-68", "dlib-resnet"):
        artefact(name)
    detector = models.detector(registry.judges.card("dlib-hog"))
    images, points = [], []
    for path in photographs:
        image = read_image(path)
        face = most_central(detector.detect(image, 1), image.shape[1], image.shape[0])
        assert face is not None
        aligned = template("ffhq-128")
        images.append(aligned.crop(image, face))
        points.append(map_face(face, aligned.matrix(face)).points68)
    count = len(images)
    ids = tuple(path.name for path in photographs)
    return Crops(np.stack(images), np.float32(points), np.ones(count, np.int64), ids, {})


def test_the_demos_identity_is_the_judges(found: Crops, photographs: list[Path]) -> None:
    identity = DemoIdentity()
    standard = fit_identity(identity, found)
    raw = standard * identity.deviation + identity.mean
    judge = registry.judges.load("dlib-resnet")(registry.judges.card("dlib-resnet"), "cpu")
    detector, aligned = models.detector(registry.judges.card("dlib-hog")), template("dlib-150")
    for path, own in zip(photographs, raw, strict=True):
        image = read_image(path)
        face = most_central(detector.detect(image, 1), image.shape[1], image.shape[0])
        crop = torch.from_numpy(aligned.crop(image, face)).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            theirs = judge.embed(crop)[0]
        assert float((own - theirs).norm()) < 0.35  # dlib calls them one person below 0.6
    people = [(i, j) for i in range(6) for j in range(i)]
    same = [float((raw[i] - raw[j]).norm()) for i, j in people if i // 2 == j // 2]
    others = [float((raw[i] - raw[j]).norm()) for i, j in people if i // 2 != j // 2]
    assert max(same) < min(others)
    embedded = identity.embed(signed(found.images))
    assert torch.allclose(embedded, standard, atol=1e-4)
    assert torch.allclose(embedded.mean(0), torch.zeros(128), atol=1e-3)
    assert torch.allclose(embedded.std(0), torch.ones(128), atol=1e-3)


def test_without_a_face_there_is_no_alignment(artefact: Callable[[str], Path]) -> None:
    for name in ("dlib-shape-predictor-5", "dlib-shape-predictor-68", "dlib-resnet"):
        artefact(name)
    with pytest.raises(BadData, match="no face"):
        fit_identity(DemoIdentity(), toy_crops(128, 2))


def test_the_landmark_model_is_a_principal_component_analysis() -> None:
    random = np.random.default_rng(0)
    axes = random.normal(0, 1, (5, 136))
    points = face_points(128).ravel() + random.normal(0, 1, (200, 5)) @ axes
    points = points.reshape(-1, 68, 2).astype(np.float32)
    prior = LandmarkPrior(size=3, width=8)
    coefficients = prior.fit(points)
    reference = PCA(3, whiten=True).fit(points.reshape(200, -1))
    signs = np.sign((reference.components_ * prior.basis.numpy()).sum(1))
    expected = reference.transform(points.reshape(200, -1)) * signs
    np.testing.assert_allclose(coefficients.numpy(), expected, atol=1e-3)
    back = prior.landmarks(coefficients).detach().numpy().reshape(200, -1)
    wanted = reference.inverse_transform(reference.transform(points.reshape(200, -1)))
    np.testing.assert_allclose(back, wanted, atol=1e-2)
    np.testing.assert_allclose(coefficients.std(0).numpy(), 1, atol=0.01)


def test_few_faces_have_no_principal_components() -> None:
    with pytest.raises(BadData, match="8 faces are too few for 8 components"):
        LandmarkPrior(size=8, width=8).fit(toy_crops(128, 8).points)


def test_landmarks_are_learned_from_pixels(found: Crops) -> None:
    """More steps on few faces fit them better; the seed decides."""
    errors = []
    for steps in (2, 30):
        torch.manual_seed(0)
        prior = LandmarkPrior(size=4, width=8)
        fit_landmarks(prior, found, steps)
        with torch.no_grad():
            read = prior.landmarks(prior.coefficients(signed(found.images)))
        errors.append(float((read - torch.from_numpy(found.points)).norm(dim=-1).mean()))
    assert errors[1] < 0.9 * errors[0]


def test_dummy_identities_are_drawn_like_real_ones() -> None:
    torch.manual_seed(0)
    real = torch.randn(500, 4) @ torch.randn(4, 16)  # values depend on each other
    real = (real - real.mean(0)) / real.std(0)
    dummy = DummyIdentity(16)

    def apart() -> float:
        with torch.no_grad():
            return float(energy_distance(dummy(torch.randn(256, 16)), real[:256]))

    before = apart()
    fit_dummy(dummy, real)
    assert apart() < 0.4 * before
    assert abs(float(energy_distance(real[:250], real[250:]))) < 0.1 * before


@pytest.fixture
def stylegan2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator:
    """A small StyleGAN2 in the place of the published one."""
    generator = Generator(SMALL.sizes)
    path = tmp_path / "stylegan2.safetensors"
    save_file({key: value.clone() for key, value in generator.state_dict().items()}, path)
    monkeypatch.setattr(weights, "require_by_hand", lambda names: None)
    monkeypatch.setattr(weights, "path", lambda name: {"stylegan2-ffhq-256": path}[name])
    return generator


def test_the_decoder_starts_from_stylegan2(stylegan2: Generator) -> None:
    decoder = FusionDecoder(SMALL)
    encoder = {k: v.clone() for k, v in decoder.pyramid.state_dict().items()}
    training_priors.start_from_stylegan2(decoder)
    own = decoder.state_dict()
    taken = [key for key in stylegan2.state_dict() if not key.startswith(("style.", "noises."))]
    assert len(taken) > 50
    assert all(torch.equal(own[key], stylegan2.state_dict()[key]) for key in taken)
    assert all(torch.equal(own[f"pyramid.{key}"], value) for key, value in encoder.items())
    parameters = {key for key, _ in stylegan2.named_parameters()} & set(taken)
    assert len(training_priors.prior_parameters(decoder)) == len(parameters)


def test_a_decoder_of_another_size_is_refused(stylegan2: Generator) -> None:
    wider = FusionDecoder(replace(SMALL, sizes=Sizes(32, 16, 128, 16)))
    with pytest.raises(BadData, match="of another shape"):
        training_priors.start_from_stylegan2(wider)
