"""MediaPipe's landmarks beside dlib's on real faces, and what it does where there is none."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from anonbench import registry
from anonbench.data.align import map_face, most_central, template
from anonbench.data.images import read_image
from anonbench.errors import BadConfig
from anonbench.interfaces import Describer
from anonbench.values import Face

NAME = "mediapipe"
# Eye corners and mouth corners, from the image's left to its right.
MEDIAPIPE, DLIB = [33, 133, 362, 263, 61, 291], [36, 39, 42, 45, 48, 54]
MIRRORED = [5 - 2, 2, 1, 0, 5, 4]
SMILE = [44, 45]
NOSE_TIP, SIDES = 1, [234, 454]


@pytest.fixture(scope="module")
def judge(artefact: Callable[[str], Path]) -> Describer:
    pytest.importorskip("mediapipe")
    card = registry.judges.card(NAME)
    for weight in card.weights:
        artefact(weight)
    return registry.judges.load(NAME)(card, "cpu")


@pytest.fixture(scope="module")
def faces(shared: Path, hog) -> tuple[torch.Tensor, list[Face]]:
    """Twenty FFHQ crops of LFW, and dlib's landmarks in them."""
    cut, crops, found = template("ffhq-256"), [], []
    files = sorted((shared / "data" / "lfw" / "lfw-deepfunneled").glob("*/*_0001.jpg"))
    for image in map(read_image, files[::285][:20]):
        face = most_central(hog.detect(image, upsample=0), image.shape[1], image.shape[0])
        crops.append(cut.crop(image, face))
        found.append(map_face(face, cut.matrix(face)))
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255, found


@pytest.fixture(scope="module")
def seen(judge, faces) -> dict[str, torch.Tensor]:
    return judge.describe(faces[0])


def corners(points: torch.Tensor) -> np.ndarray:
    """Eye and mouth corners `[B, 6, 2]` of the trait `points`."""
    return points.double().numpy().reshape(-1, 478, 2)[:, MEDIAPIPE]


def width(points68: np.ndarray, left: int, right: int) -> float:
    return float(np.linalg.norm(points68[left] - points68[right]))


def test_corners_of_eyes_and_mouth_are_where_dlib_sees_them(seen, faces) -> None:
    landmarks = [face.points68 for face in faces[1]]
    apart = [
        np.linalg.norm(found - points[DLIB], axis=1).mean() / width(points, 36, 45)
        for found, points in zip(corners(seen["points"]), landmarks, strict=True)
    ]
    # On 407 faces of LFW: 0.028 of the distance of the outer eye corners, 0.049 for 19 of 20.
    assert np.mean(apart) < 0.035
    assert np.max(apart) < 0.08


def test_pixels_are_counted_from_the_centre_of_the_first(judge, seen, faces) -> None:
    mirrored = corners(judge.describe(faces[0].flip(3))["points"])[:, MIRRORED]
    sums = corners(seen["points"])[..., 0] + mirrored[..., 0]
    # A pixel's centre and its mirror image's add up to 255; counted from edges, to 256.
    assert sums.mean() == pytest.approx(255, abs=0.3)


def test_a_smaller_crop_has_the_same_face(judge, seen, faces) -> None:
    half = judge.describe(torch.nn.functional.avg_pool2d(faces[0], 2))
    places = (corners(half["points"]) + 0.5) / 128 - (corners(seen["points"]) + 0.5) / 256
    assert abs(places).mean() < 0.01
    depth, whole = (each["mesh"].view(-1, 478, 3)[..., 2].std() for each in (half, seen))
    assert float(depth / whole) == pytest.approx(0.5, abs=0.02)


def test_the_mesh_is_the_points_with_depth_nearest_at_the_nose(seen) -> None:
    mesh = seen["mesh"].view(-1, 478, 3)
    assert torch.equal(mesh[..., :2].flatten(1), seen["points"])
    assert (mesh[:, NOSE_TIP, 2] < mesh[:, SIDES, 2].min(dim=1).values - 20).all()


def test_wide_mouths_are_called_smiles(seen, faces) -> None:
    expression = seen["expression"]
    assert ((expression >= 0) & (expression <= 1)).all()
    smile = expression[:, SMILE].mean(dim=1).numpy()
    wide = [width(f.points68, 48, 54) / width(f.points68, 36, 45) for f in faces[1]]
    assert np.corrcoef(smile, wide)[0, 1] > 0.6


def test_traits_are_those_of_the_card_and_none_where_there_is_no_face(judge, seen, faces) -> None:
    lengths = {"points": 956, "mesh": 1434, "expression": 52, "pose": 3}
    assert judge.card.traits == lengths
    face = faces[0][:1]
    grey, noise = torch.full_like(face, 0.5), torch.rand(face.shape, generator=torch.Generator())
    mixed = judge.describe(torch.cat([grey, face, noise]))
    for name, length in lengths.items():
        assert mixed[name].shape == (3, length)
        assert mixed[name][[0, 2]].isnan().all()
        assert torch.equal(mixed[name][1], seen[name][0])
        assert judge.describe(face[:0])[name].shape == (0, length)


def test_it_repeats_exactly_and_says_nothing(judge, seen, faces, capfd) -> None:
    another = registry.judges.load(NAME)(judge.card, "cpu")
    again = another.describe(faces[0][:4])
    for name, values in again.items():
        assert torch.equal(values, seen[name][:4])
    assert capfd.readouterr() == ("", "")


def test_a_program_ends_in_silence(judge) -> None:
    program = f"""
import torch
from anonbench import registry
judge = registry.judges.load("{NAME}")(registry.judges.card("{NAME}"), "cpu")
assert judge.describe(torch.zeros(1, 3, 64, 64))["pose"].isnan().all()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_system_libraries_are_named(judge, monkeypatch) -> None:
    vision = pytest.importorskip("mediapipe.tasks.python.vision")

    def fail(options) -> None:
        raise OSError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(vision.FaceLandmarker, "create_from_options", fail)
    with pytest.raises(BadConfig, match=r"(?s)libEGL\.so\.1: cannot.*apt-get install libegl1"):
        registry.judges.load(NAME)(judge.card, "cpu")
