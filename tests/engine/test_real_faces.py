"""The engine on a few real LFW pairs against dlib used by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.results.store import load_scores

LIMIT = 12


@pytest.fixture
def home_with_weights(artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store beside the user's own weights."""
    for name in ("dlib-shape-predictor-5", "dlib-shape-predictor-68", "dlib-resnet"):
        weights = artefact(name)
    home = tmp_path / "home"
    home.mkdir()
    (home / "weights").symlink_to(next(p for p in weights.parents if p.name == "weights"))
    monkeypatch.setenv("ANONBENCH_HOME", str(home))
    return home


@pytest.fixture
def scores(home_with_weights, shared: Path, tmp_path: Path) -> dict[str, np.ndarray]:
    """The stored scores of a run that publishes whole pictures without changing them."""
    from rich.console import Console

    from anonbench.engine.job import RunConfig
    from anonbench.engine.plan import plan
    from anonbench.engine.progress import Progress
    from anonbench.engine.run import run

    config = RunConfig(
        methods=("identity",),
        protocols=("lfw-tar:far=0.2:bootstrap=100",),
        dataset="lfw",
        judges=("dlib-resnet",),
        data_root=shared / "data",
        limit=LIMIT,
        presentation="paste",
        output=tmp_path / "runs",
        workers=1,
        device="cpu",
    )
    (outcome,) = run(plan(config), config, Progress(Console(stderr=True)))
    assert outcome.error is None
    return load_scores(outcome.path)["dlib-resnet"]


@pytest.fixture
def by_hand(artefact, shared: Path) -> Callable[[str], np.ndarray]:
    """dlib's own embedding of an LFW photograph, L2-normalised."""
    import dlib

    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(artefact("dlib-shape-predictor-5")))
    network = dlib.face_recognition_model_v1(str(artefact("dlib-resnet")))

    def embed(sample_id: str) -> np.ndarray:
        folder = shared / "data" / "lfw" / "lfw-deepfunneled"
        image = np.asarray(Image.open(folder / sample_id))  # dlib's JPEG decoder rounds otherwise
        boxes = sorted(
            detector(image, 1),
            key=lambda box: (box.dcenter().x - 124.5) ** 2 + (box.dcenter().y - 124.5) ** 2,
        )
        box = boxes[0] if boxes else dlib.rectangle(75, 75, 175, 175)
        chip = dlib.get_face_chip(image, predictor(image, box), 150, 0.25)
        vector = np.array(network.compute_face_descriptor(chip))
        return vector / np.linalg.norm(vector)

    return embed


def test_distances_are_those_of_dlib_itself(scores, by_hand) -> None:
    assert len(scores["same"]) == 2 * LIMIT
    rows = zip(scores["a"], scores["b"], strict=True)
    reference = np.array([((by_hand(a) - by_hand(b)) ** 2).sum() for a, b in rows])
    untouched = ~scores["same"]
    np.testing.assert_allclose(scores["distance"][untouched], reference[untouched], atol=1e-4)
    # A probe went through the crop and back, and was detected again.
    assert np.abs(scores["distance"] - reference)[scores["same"]].max() < 0.05
