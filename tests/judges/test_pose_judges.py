"""Angles of real faces: what dlib's landmarks, mirrors and turned pictures say of their signs."""

import itertools
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from anonbench import registry
from anonbench.data.align import most_central, template
from anonbench.data.images import read_image
from anonbench.data.warp import warp
from anonbench.errors import MissingArtefact
from anonbench.interfaces import Describer
from anonbench.judges.angles import of_rotation
from anonbench.values import Face

JUDGES = ("fsanet", "fr-pose", "mediapipe")
ONNX = ("fsanet", "fr-pose")

# Of 411 images of LFW: those whose nose tip is furthest aside by dlib's landmarks, and some others.
TURNED = """
    Alexandra_Pelosi Alfred_Ford Allan_Houston Andy_Wisecarver Angie_Martinez Anzori_Kikalishvili
    Atom_Egoyan Caroline_Kennedy Davis_Love_III Emile_Lahoud Freddy_Garcia George_P_Bush
    Harry_Schmidt Jamie_Kellner Janice_Goldfinger Jessica_Brungo Jim_Haslett Joe_Mantegna
    John_Williams Larry_Ralston Leslie_Moonves Lyudmila_Putin Maria_Soledad_Alvear_Valenzuela
    Michelle_Pfeiffer Mike_Martz Minnie_Mendoza Nathan_Smith Perry_Gibbs Rick_Pitino Rob_Schneider
    Spike_Lee Steve_Cox Tammy_Helm Tatiana_Kennedy_Schlossberg Thor_Pedersen Wycliffe_Grousbeck
    Yao_Ming
"""
# Those whose nose tip is in the middle, every seventh.
FRONTAL = """
    Adolfo_Rodriguez_Saa Cora_Cambell Henri_Proglio Jim_Bunning Malik_Mahmud Mikhail_Youzhny
    Phillip_Fulmer Robert_Redford Sue_Grafton
"""

Picture = tuple[np.ndarray, Face]


@pytest.fixture(scope="module")
def find(hog) -> Callable[[np.ndarray], Face]:
    def find(image: np.ndarray) -> Face:
        face = most_central(hog.detect(image, upsample=0), image.shape[1], image.shape[0])
        assert face is not None
        return face

    return find


@pytest.fixture(scope="module")
def photographs(shared: Path, find) -> Callable[[str], list[Picture]]:
    def photographs(names: str) -> list[Picture]:
        folder = shared / "data" / "lfw" / "lfw-deepfunneled"
        images = [read_image(folder / name / f"{name}_0001.jpg") for name in names.split()]
        return [(image, find(image)) for image in images]

    return photographs


@pytest.fixture(scope="module")
def lfw(photographs) -> list[Picture]:
    return photographs(TURNED)


@pytest.fixture(scope="module")
def frontal(photographs, astronaut) -> list[Picture]:
    return photographs(FRONTAL) + astronaut


@pytest.fixture(scope="module")
def astronaut(find) -> list[Picture]:
    image = pytest.importorskip("skimage.data").astronaut()
    return [(image, find(image))]


@pytest.fixture(scope="module")
def build(artefact: Callable[[str], Path]) -> Callable[[str], Describer]:
    @cache
    def build(name: str) -> Describer:
        card = registry.judges.card(name)
        for weight in card.weights:
            artefact(weight)
        return registry.judges.load(name)(card, "cpu")

    return build


def crops(judge: Describer, pictures: list[Picture], turned: float = 0.0) -> Tensor:
    """Upright crops, or the same turned clockwise by some degrees about their centres."""
    cut = template(judge.card.template or "hopenet-256")
    centre = (cut.size - 1) / 2 * np.ones(2)
    # In the image y points down, so that a positive angle is clockwise.
    turn = Rotation.from_euler("z", turned, degrees=True).as_matrix()
    turn[:2, 2] = centre - turn[:2, :2] @ centre
    found = []
    for image, face in pictures:
        matrix = turn[:2] @ np.vstack([cut.matrix(face), [0, 0, 1]])
        found.append(warp(image, matrix, cut.size, cut.size, "edge"))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


def pose(judge: Describer, images: Tensor) -> np.ndarray:
    return judge.describe(images)["pose"].double().numpy()


@pytest.fixture(scope="module")
def poses(build, lfw) -> Callable[[str], np.ndarray]:
    return cache(lambda name: pose(build(name), crops(build(name), lfw)))


def nose_aside(face: Face) -> float:
    """How far to the right of the jaw's middle the nose tip is, in widths of the jaw."""
    points = face.points68
    left, right = points[0, 0], points[16, 0]
    return float((points[30, 0] - (left + right) / 2) / (right - left))


def nose_below(face: Face) -> float:
    """How far down from the eyes to the mouth the nose tip is; foreshortened by looking up."""
    eyes, nose, mouth = (
        face.points68[rows, 1].mean() for rows in (range(36, 48), 30, range(48, 60))
    )
    return float((nose - eyes) / (mouth - eyes))


@pytest.mark.parametrize("name", JUDGES)
def test_yaw_is_positive_where_the_nose_points_to_the_right(name, poses, lfw) -> None:
    aside, yaw = np.array([nose_aside(face) for _, face in lfw]), poses(name)[:, 0]
    clearly = abs(aside) > 0.1
    assert min((aside[clearly] > 0).sum(), (aside[clearly] < 0).sum()) > 10
    assert (np.sign(yaw[clearly]) == np.sign(aside[clearly])).all()
    assert abs(yaw[clearly]).mean() > 15
    assert np.corrcoef(yaw, aside)[0, 1] > 0.9


@pytest.mark.parametrize("name", JUDGES)
def test_pitch_is_positive_where_the_nose_is_foreshortened(name, poses, lfw) -> None:
    below = [nose_below(face) for _, face in lfw]
    assert np.corrcoef(poses(name)[:, 1], below)[0, 1] < -0.7


# Half a degree to a degree and a half more than was measured: see the numbers in the comments.
MIRRORED = {
    "fsanet": (2.5, 2.5, 2.0),  # 1.6, 1.5, 0.9
    "fr-pose": (5.0, 2.0, 4.5),  # 3.6, 1.0, 3.2: it has a constant error
    "mediapipe": (3.5, 2.0, 2.5),  # 2.2, 1.2, 1.5: on one profile it is lost, at 0.7 without it
}


@pytest.mark.parametrize("name", JUDGES)
def test_a_mirrored_face_has_the_opposite_yaw_and_roll_and_the_same_pitch(
    name, build, poses, lfw
) -> None:
    judge = build(name)
    mirrored = pose(judge, crops(judge, lfw).flip(3))
    off = abs(poses(name) - mirrored * (-1, 1, -1)).mean(axis=0)
    assert (off < MIRRORED[name]).all(), off


@pytest.mark.parametrize("name", JUDGES)
def test_the_astronaut_looks_ahead_and_is_tilted_to_the_right(name, build, astronaut) -> None:
    judge = build(name)
    images = crops(judge, astronaut)
    (straight,), (mirrored,) = pose(judge, images), pose(judge, images.flip(3))
    assert abs(straight[0]) < 10
    assert 0 < straight[2] < 10
    assert abs(straight - mirrored * (-1, 1, -1)).max() < 6


@pytest.mark.parametrize("name", JUDGES)
@pytest.mark.parametrize("angle", [15, -15])
def test_turning_the_picture_clockwise_turns_the_roll(name, angle, build, frontal) -> None:
    judge = build(name)
    before, after = (pose(judge, crops(judge, frontal, turned)) for turned in (0, angle))
    moved = (after - before)[:, 2]
    assert moved.mean() == pytest.approx(angle, abs=2)
    assert abs(moved - angle).max() < 5


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(JUDGES, 2)))
def test_judges_agree_on_turned_faces(one, other, poses) -> None:
    first, second = poses(one), poses(other)
    correlation = [np.corrcoef(first[:, axis], second[:, axis])[0, 1] for axis in range(3)]
    # Measured at worst: 0.95, 0.87 and 0.72; rolls are small in LFW, which is aligned.
    assert (np.array(correlation) > (0.9, 0.8, 0.6)).all(), correlation
    assert (abs(first - second).mean(axis=0) < (7, 6, 4)).all()


@pytest.mark.parametrize("name", ONNX)
def test_a_face_has_the_same_pose_in_any_batch(name, build, lfw) -> None:
    judge = build(name)
    images = crops(judge, lfw[:3])
    together = judge.describe(images)["pose"]
    assert together.shape == (3, 3)
    assert together.dtype == torch.float32
    alone = torch.cat([judge.describe(image[None])["pose"] for image in images])
    assert torch.equal(together, alone)
    assert judge.describe(images[:0])["pose"].shape == (0, 3)


@pytest.mark.parametrize("name", JUDGES)
def test_weights_that_are_not_there_are_asked_for(anonbench_home: Path, name: str) -> None:
    card = registry.judges.card(name)
    with pytest.raises(MissingArtefact, match=f"anonbench fetch {card.weights[0]}"):
        registry.judges.load(name)(card, "cpu")


@pytest.mark.parametrize("angles", [(0, 0, 0), (40, 0, 0), (0, 25, 0), (0, 0, -30), (-35, 20, 10)])
def test_angles_of_a_rotation_are_those_that_made_it(angles) -> None:
    yaw, pitch, roll = angles
    # With y up and z towards the camera, a positive turn about x nods down, about z is
    # anticlockwise in the image. The roll comes first.
    turn = (
        Rotation.from_euler("x", -pitch, degrees=True)
        * Rotation.from_euler("y", yaw, degrees=True)
        * Rotation.from_euler("z", -roll, degrees=True)
    )
    np.testing.assert_allclose(of_rotation(3.5 * turn.as_matrix()), angles, atol=1e-9)
    nose = turn.apply([0, 0, 1])
    assert np.sign(round(nose[0], 9)) == np.sign(yaw)
    if not yaw:
        assert np.sign(round(nose[1], 9)) == np.sign(pitch)
