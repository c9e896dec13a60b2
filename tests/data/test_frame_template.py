"""FIT's crop against hand computation and against real frames of LFW."""

from pathlib import Path

import numpy as np
import pytest

from anonbench.data.align import most_central, template
from anonbench.data.images import read_image
from anonbench.errors import BadImage
from anonbench.values import Face

POINTS = np.array([[90.0, 110.0], [150.0, 110.0], [120.0, 140.0], [98.0, 170.0], [142.0, 170.0]])


def face(points5: np.ndarray = POINTS, whole: np.ndarray | None = None) -> Face:
    return Face(np.zeros(4), 1.0, points5, whole=whole)


def square(found: Face) -> tuple[np.ndarray, float]:
    """Centre and side, in image pixels, of what a crop covers from edge to edge."""
    matrix = template("fit-128").matrix(found)
    assert matrix[0, 1] == matrix[1, 0] == 0
    assert matrix[0, 0] == matrix[1, 1]
    return (63.5 - matrix[:, 2]) / matrix[0, 0], 128 / matrix[0, 0]


def test_the_frame_of_a_face_is_the_stated_one() -> None:
    spread = np.sqrt(((POINTS - POINTS.mean(0)) ** 2).sum())
    centre, side = square(face())
    assert side == pytest.approx(4.13 * spread)
    np.testing.assert_allclose(centre, [120, 140 - 0.187 * spread])
    moved, larger = square(face(2 * POINTS + (30, -10)))
    assert larger == pytest.approx(2 * side)
    np.testing.assert_allclose(moved, 2 * centre + (30, -10))


def test_frames_of_lfw_are_met(shared: Path, hog) -> None:
    sides, centres = [], []
    for name in ("Aaron_Eckhart", "Adam_Scott", "Adrian_Nastase", "Afton_Smith"):
        image = read_image(shared / f"data/lfw/lfw-deepfunneled/{name}/{name}_0001.jpg")
        centre, side = square(most_central(hog.detect(image, 0), 250, 250))
        sides.append(side)
        centres.append(centre)
    np.testing.assert_allclose(sides, 250, rtol=0.2)
    np.testing.assert_allclose(centres, 124.5, atol=8)
    assert np.mean(sides) == pytest.approx(250, rel=0.1)


def test_an_aligned_image_is_taken_as_a_whole() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    aligned = face(whole=np.array([128.0, 128.0]))
    assert (template("fit-128").crop(image, aligned) == image).all()
    centre, side = square(face(whole=np.array([512.0, 512.0])))
    assert side == 512
    np.testing.assert_allclose(centre, 255.5)


def test_where_the_image_ends_its_edge_goes_on() -> None:
    image = np.full((200, 200, 3), 200, np.uint8)
    assert (template("fit-128").crop(image, face()) == 200).all()


def test_landmarks_that_coincide_fix_no_frame() -> None:
    with pytest.raises(BadImage, match="coincide"):
        template("fit-128").matrix(face(np.full((5, 2), 7.0)))
