"""The detectors on real LFW faces and on images that have none."""

from pathlib import Path

import numpy as np
import pytest

from anonbench import registry
from anonbench.data.align import most_central
from anonbench.data.images import read_image
from anonbench.engine import models


@pytest.fixture(scope="module")
def mtcnn():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its small nets run many times slower on contended threads
    yield models.detector(registry.judges.card("mtcnn"))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def photographs(shared: Path) -> list[np.ndarray]:
    files = sorted((shared / "data" / "lfw" / "lfw-deepfunneled").glob("*/*_0001.jpg"))
    return [read_image(file) for file in files[::285]][:20]


def central(detector, image):
    return most_central(detector.detect(image), image.shape[1], image.shape[0])


def interocular(face) -> float:
    return float(np.linalg.norm(face.points5[1] - face.points5[0]))


def test_mtcnn_and_dlib_find_the_same_eyes_nose_and_mouth(hog, mtcnn, photographs) -> None:
    apart = []
    for image in photographs:
        one, other = central(hog, image), central(mtcnn, image)
        gap = np.linalg.norm(one.points5 - other.points5, axis=1).mean()
        apart.append(gap / interocular(one))
    assert len(apart) == 20
    # In 51 images of LFW: 0.057 of the distance of the eyes, most at the nose tip with 0.074.
    assert np.mean(apart) < 0.08
    assert np.max(apart) < 0.15


@pytest.mark.parametrize("name", ["hog", "mtcnn"])
def test_landmarks_stand_upright_inside_the_box(name, request, photographs) -> None:
    detector = request.getfixturevalue(name)
    for image in photographs[:8]:
        face = central(detector, image)
        left, right, nose, mouth_left, mouth_right = face.points5
        assert left[0] < nose[0] < right[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left[1], right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
        assert (face.points5 > face.box[:2]).all()
        assert (face.points5 < face.box[2:]).all()


@pytest.mark.parametrize("name", ["hog", "mtcnn"])
def test_landmarks_fitted_into_a_found_box_are_those_of_the_detection(
    name, request, photographs
) -> None:
    detector = request.getfixturevalue(name)
    for image in photographs[:4]:
        found = central(detector, image)
        fitted = detector.landmarks(image, found.box)
        gap = np.linalg.norm(found.points5 - fitted.points5, axis=1).mean()
        assert gap < 0.08 * interocular(found)


@pytest.mark.parametrize("name", ["hog", "mtcnn"])
@pytest.mark.parametrize("size", [(1, 1), (10, 200), (64, 64)])
def test_nothing_is_found_where_there_is_nothing(name, size, request) -> None:
    detector = request.getfixturevalue(name)
    grey = np.full((*size, 3), 127, np.uint8)
    assert detector.detect(grey) == []
    face = detector.landmarks(grey, np.array([-5.0, -5.0, 40.0, 40.0]))
    assert np.isfinite(face.points5).all()


@pytest.mark.parametrize("name", ["hog", "mtcnn"])
def test_detection_repeats_exactly_and_leaves_the_image_alone(name, request, photographs) -> None:
    detector = request.getfixturevalue(name)
    image = photographs[0].copy()
    first, second = central(detector, image), central(detector, image)
    assert np.array_equal(first.points5, second.points5)
    assert np.array_equal(image, photographs[0])


def test_two_faces_are_both_found_and_the_central_one_is_chosen(hog, photographs) -> None:
    one, other = photographs[0], photographs[1]
    pair = np.concatenate([one, other[:, :200]], axis=1)
    faces = hog.detect(pair)
    assert len(faces) >= 2
    assert [face.score for face in faces] == sorted((f.score for f in faces), reverse=True)
    chosen = most_central(faces, pair.shape[1], pair.shape[0])
    distance = [abs(face.box.reshape(2, 2).mean(0)[0] - pair.shape[1] / 2) for face in faces]
    assert chosen is faces[int(np.argmin(distance))]


def test_doubling_the_image_finds_smaller_faces(hog, photographs) -> None:
    from PIL import Image

    small = np.asarray(Image.fromarray(photographs[0]).resize((110, 110)))
    assert hog.detect(small, upsample=0) == []
    assert hog.detect(small, upsample=1)
