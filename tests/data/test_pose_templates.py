"""The crops of FSA-Net and FR-Pose, on faces whose crops follow by hand and on real ones."""

from pathlib import Path

import numpy as np
import pytest

from anonbench import registry
from anonbench.data.align import most_central, template
from anonbench.data.images import read_image
from anonbench.engine import models
from anonbench.errors import BadImage
from anonbench.values import Face

BOX = np.array([100.0, 120.0, 180.0, 220.0])


def face(points68: np.ndarray | None = None, box: np.ndarray = BOX) -> Face:
    return Face(box, 1.0, np.zeros((5, 2)), points68=points68)


def landmarks68() -> np.ndarray:
    """68 points inside the box 40..120, 60..160 that touch each of its sides."""
    points = np.random.default_rng(0).uniform((40, 60), (120, 160), (68, 2))
    points[0, 0], points[16, 0], points[24, 1], points[8, 1] = 40, 120, 60, 160
    return points


def square(name: str, found: Face) -> tuple[np.ndarray, float]:
    """Centre and side, in image pixels, of what a crop covers from edge to edge."""
    cut = template(name)
    matrix = cut.matrix(found)
    assert matrix[0, 1] == matrix[1, 0] == 0
    assert matrix[0, 0] == matrix[1, 1]
    return ((cut.size - 1) / 2 - matrix[:, 2]) / matrix[0, 0], cut.size / matrix[0, 0]


def test_fsanet_adds_six_tenths_on_each_side_of_the_landmarks() -> None:
    centre, side = square("fsanet-64", face(landmarks68()))
    np.testing.assert_allclose(centre, [80, 110])
    assert side == pytest.approx(90 + 2 * 0.6 * 90)


def test_fsanet_estimates_the_landmarks_from_a_box() -> None:
    centre, side = square("fsanet-64", face())
    np.testing.assert_allclose(centre, [140, 170 + 0.165 * 90])
    assert side == pytest.approx(2.2 * 0.89 * 90)


def test_frpose_is_a_fifth_larger_than_the_box_whatever_the_landmarks() -> None:
    for found in (face(), face(landmarks68())):
        centre, side = square("frpose-224", found)
        np.testing.assert_allclose(centre, [140, 170])
        assert side == pytest.approx(1.2 * 90)


@pytest.mark.parametrize("name", ["fsanet-64", "frpose-224"])
def test_where_the_image_ends_its_edge_goes_on(name) -> None:
    image = np.full((240, 240, 3), 200, np.uint8)
    assert (template(name).crop(image, face(box=BOX - 100)) == 200).all()


@pytest.mark.parametrize("name", ["fsanet-64", "frpose-224"])
def test_an_empty_box_is_a_bad_image(name) -> None:
    with pytest.raises(BadImage, match="its box is empty"):
        template(name).matrix(face(box=np.array([10.0, 10.0, 10.0, 50.0])))


@pytest.mark.parametrize(("name", "away"), [("fsanet-64", 0.05), ("frpose-224", 0.15)])
def test_two_detectors_give_nearly_the_same_crop(name, away, hog, shared: Path) -> None:
    mtcnn = models.detector(registry.judges.card("mtcnn"))
    files = sorted((shared / "data" / "lfw" / "lfw-deepfunneled").glob("*/*_0001.jpg"))
    for image in map(read_image, files[::1140]):
        (centre, side), (other_centre, other_side) = (
            square(name, most_central(detector.detect(image), image.shape[1], image.shape[0]))
            for detector in (hog, mtcnn)
        )
        assert other_side == pytest.approx(side, rel=0.15)
        assert np.linalg.norm(other_centre - centre) < away * side
