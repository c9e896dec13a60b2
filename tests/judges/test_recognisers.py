from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from anonbench import registry
from anonbench.data.align import most_central, template
from anonbench.data.images import read_image
from anonbench.errors import BadConfig, MissingArtefact
from anonbench.interfaces import Detector, Recogniser
from anonbench.values import Face

RECOGNISERS = ("dlib-resnet", "fr-feature")
PEOPLE = 20


@pytest.fixture(scope="module")
def build(artefact: Callable[[str], Path]) -> Callable[[str], Recogniser]:
    @cache
    def build(name: str) -> Recogniser:
        card = registry.judges.card(name)
        for weight in card.weights:
            artefact(weight)
        judge: Recogniser = registry.judges.load(name)(card, "cpu")
        return judge

    return build


@pytest.fixture(scope="module")
def aligned(shared: Path, artefact: Callable[[str], Path]) -> Callable[[Path], Face]:
    """The face in an LFW image; HOG without upsampling is quick and finds all but a few."""
    for predictor in ("dlib-shape-predictor-5", "dlib-shape-predictor-68"):
        artefact(predictor)
    card = registry.judges.card("dlib-hog")
    detector: Detector = registry.judges.load("dlib-hog")(card, "cpu")

    @cache
    def face_of(path: Path) -> Face:
        image = read_image(path)
        face = most_central(detector.detect(image, upsample=0), image.shape[1], image.shape[0])
        return face or detector.landmarks(image, np.array([75.0, 75.0, 175.0, 175.0]))

    return face_of


def random_crops(judge: Recogniser, count: int) -> torch.Tensor:
    size = template(judge.card.template).size
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", RECOGNISERS)
@torch.inference_mode()
def test_embeddings_are_what_the_card_says_whatever_the_batch(
    build: Callable[[str], Recogniser], name: str
) -> None:
    judge = build(name)
    crops = random_crops(judge, 4)
    together = judge.embed(crops)
    assert together.shape == (4, judge.card.dim)
    assert together.dtype == torch.float32
    alone = torch.cat([judge.embed(crop[None]) for crop in crops])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert judge.embed(crops[:0]).shape == (0, judge.card.dim)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_separates_people_on_lfw(
    build: Callable[[str], Recogniser],
    aligned: Callable[[Path], Face],
    shared: Path,
    name: str,
) -> None:
    judge = build(name)
    folders = sorted((shared / "data/lfw/lfw-deepfunneled").iterdir())
    people = [sorted(folder.glob("*.jpg"))[:2] for folder in folders]
    files = [path for pair in people if len(pair) == 2 for path in pair][: 2 * PEOPLE]
    cut = template(judge.card.template).crop
    crops = np.stack([cut(read_image(path), aligned(path)) for path in files])
    with torch.inference_mode():
        vectors = judge.embed(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
    first, second = (
        torch.nn.functional.normalize(vectors).numpy().reshape(PEOPLE, 2, -1).swapaxes(0, 1)
    )
    same = (first * second).sum(1)
    other = np.concatenate([first[i] @ second[i + 1 :].T for i in range(PEOPLE - 1)])
    labels = [1] * len(same) + [0] * len(other)
    assert roc_auc_score(labels, [*same, *other]) > 0.98


def test_dlib_resnet_is_differentiable_wherever_it_was_built(
    artefact: Callable[[str], Path],
) -> None:
    artefact("dlib-resnet")
    with torch.inference_mode():
        card = registry.judges.card("dlib-resnet")
        judge: Recogniser = registry.judges.load("dlib-resnet")(card, "cpu")
    crops = random_crops(judge, 1).requires_grad_()
    judge.embed(crops).sum().backward()
    assert crops.grad is not None
    assert crops.grad.abs().sum() > 0


@pytest.mark.parametrize("name", RECOGNISERS)
def test_embeddings_do_not_depend_on_the_number_of_threads(
    build: Callable[[str], Recogniser], name: str
) -> None:
    judge, before = build(name), torch.get_num_threads()
    embeddings = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                embeddings.append(judge.embed(random_crops(judge, 3)))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*embeddings, rtol=0, atol=1e-5)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_fr_feature_never_falls_back_to_the_cpu(
    artefact: Callable[[str], Path], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    artefact("fr-feature")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    card = registry.judges.card("fr-feature")
    with pytest.raises(BadConfig, match=f"cannot run on the device '{device}'"):
        registry.judges.load("fr-feature")(card, device)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_weights_that_are_not_there_are_asked_for(anonbench_home: Path, name: str) -> None:
    card = registry.judges.card(name)
    with pytest.raises(MissingArtefact, match=f"anonbench fetch {name}"):
        registry.judges.load(name)(card, "cpu")
