"""The alignments of D3DFR, DECA and Hopenet: faces whose crops follow by hand, and real ones."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anonbench.data.align import map_face, most_central, template
from anonbench.data.images import read_image
from anonbench.data.templates.landmarks import D3DFR_POINTS
from anonbench.data.warp import transform, zoom_of
from anonbench.errors import BadImage
from anonbench.values import Face

BOX = np.array([100.0, 120.0, 180.0, 220.0])


def seen(scale: float, origin: tuple[float, float], turn: Rotation) -> Face:
    """The standard face before an orthographic camera; the image's y points down."""
    points = scale * turn.apply(D3DFR_POINTS)[:, :2] * (1, -1) + origin
    return Face(BOX, 1.0, points)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, -20, 0), (10, 25, -40)])
@pytest.mark.parametrize("scale", [40.0, 250.0])
def test_d3dfr_finds_the_camera(angles, scale) -> None:
    face = seen(scale, (123.4, 98.7), Rotation.from_euler("xyz", angles, degrees=True))
    matrix = template("d3dfr-224").matrix(face)
    zoom = 102 / scale
    expected = [[zoom, 0, 111.5 - zoom * 123.4], [0, zoom, 111.5 - zoom * 98.7]]
    np.testing.assert_allclose(matrix, expected, rtol=1e-9)


def test_d3dfr_puts_the_frontal_face_where_it_stands_in_space() -> None:
    face = seen(80.0, (200, 150), Rotation.identity())
    crop = transform(template("d3dfr-224").matrix(face), face.points5)
    np.testing.assert_allclose(crop, 111.5 + 102 * D3DFR_POINTS[:, :2] * (1, -1), rtol=1e-9)


def test_d3dfr_averages_the_axes_of_a_face_that_is_stretched() -> None:
    face = seen(100.0, (0, 0), Rotation.identity())
    tall = Face(BOX, 1.0, face.points5 * (1, 1.5))
    assert zoom_of(template("d3dfr-224").matrix(tall)) == pytest.approx(102 / 125)


def landmarks68() -> np.ndarray:
    """68 points inside the box 100..180, 120..220 that touch each of its sides."""
    points = np.random.default_rng(0).uniform((100, 120), (180, 220), (68, 2))
    points[0, 0], points[16, 0], points[24, 1], points[8, 1] = 100, 180, 120, 220
    return points


def test_deca_takes_the_landmarks_box() -> None:
    other_box = np.array([0.0, 0.0, 9.0, 9.0])
    face = Face(other_box, 1.0, np.zeros((5, 2)), points68=landmarks68())
    side = 90 * 1.1 * 1.25
    corners = np.array([[140 - side / 2, 170 - side / 2], [140 + side / 2, 170 + side / 2]])
    found = transform(template("deca-224").matrix(face), corners)
    np.testing.assert_allclose(found, [[0, 0], [223, 223]], atol=1e-9)


def test_deca_takes_a_detectors_box_lower_and_tighter() -> None:
    face = Face(BOX, 1.0, np.zeros((5, 2)))
    side, centre = 90 * 1.25, np.array([140, 170 + 0.12 * 90])
    found = transform(template("deca-224").matrix(face), centre + side / 2 * np.eye(2))
    np.testing.assert_allclose(found, [[223, 111.5], [111.5, 223]], atol=1e-9)


def test_hopenet_takes_the_head_above_the_box() -> None:
    square = np.array([100.0, 120.0, 180.0, 200.0])
    matrix = template("hopenet-224").matrix(Face(square, 1.0, np.zeros((5, 2))))
    edges = np.array([[60.0, 60.0], [220.0, 220.0]])  # 100 - 40, 120 - 60; 180 + 40, 200 + 20
    np.testing.assert_allclose(transform(matrix, edges), [[-0.5, -0.5], [223.5, 223.5]], atol=1e-9)


def test_hopenet_takes_the_middle_of_what_is_not_square() -> None:
    matrix = template("hopenet-224").matrix(Face(BOX, 1.0, np.zeros((5, 2))))
    # 60..220 across and 45..245 down, of which the middle 160.
    np.testing.assert_allclose(
        transform(matrix, np.array([[60.0, 65.0], [220.0, 225.0]])),
        [[-0.5, -0.5], [223.5, 223.5]],
        atol=1e-9,
    )


@pytest.mark.parametrize("family", ["d3dfr", "deca", "hopenet"])
def test_another_size_is_the_same_cut(family: str) -> None:
    face = seen(90.0, (150, 140), Rotation.from_euler("z", 0.3))
    small, large = (template(f"{family}-{size}").matrix(face) for size in (112, 224))
    middle = np.array([[55.5, 55.5]])
    back = np.linalg.inv(np.vstack([small, [0, 0, 1]]))[:2]
    np.testing.assert_allclose(transform(large, transform(back, middle)), [[111.5, 111.5]])
    assert zoom_of(small) == pytest.approx(zoom_of(large) / 2, rel=0.005)


@pytest.mark.parametrize("family", ["d3dfr", "deca", "hopenet"])
def test_the_crop_does_not_depend_on_the_frame(family: str) -> None:
    face = seen(90.0, (150, 140), Rotation.from_euler("y", 0.4))
    frame = np.array([[0.7, 0, -12.3], [0, 0.7, 31.0]])
    direct = template(f"{family}-224").matrix(face)
    through = template(f"{family}-224").matrix(map_face(face, frame))
    np.testing.assert_allclose(
        through @ np.vstack([frame, [0, 0, 1]]), direct, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("family", ["d3dfr", "deca", "hopenet"])
def test_a_face_without_extent_is_refused(family: str) -> None:
    point = Face(np.array([50.0, 50.0, 50.0, 50.0]), 1.0, np.full((5, 2), 50.0))
    with pytest.raises(BadImage, match=r"cannot be (aligned|cropped)"):
        template(f"{family}-224").matrix(point)


@pytest.fixture(scope="module")
def real_faces(shared: Path, hog) -> list[tuple[np.ndarray, Face]]:
    """Eight people of LFW."""
    folder = shared / "data/lfw/lfw-deepfunneled"
    images = [read_image(path) for path in sorted(folder.glob("A*/*_0001.jpg"))[::20][:8]]
    found = [(image, most_central(hog.detect(image, 0), 250, 250)) for image in images]
    return [(image, face) for image, face in found if face is not None]


def test_real_faces_lie_in_d3dfrs_crop_as_its_standard_face(real_faces) -> None:
    expected = 111.5 + 102 * D3DFR_POINTS[:, :2] * (1, -1)
    errors = []
    for image, face in real_faces:
        matrix = template("d3dfr-224").matrix(face)
        errors.append(np.abs(transform(matrix, face.points5) - expected).mean())
        assert template("d3dfr-224").crop(image, face).shape == (224, 224, 3)
    assert len(errors) >= 6
    assert np.median(errors) < 8  # pixels; people differ, and turn their heads


def test_real_faces_fill_decas_crop_and_leave_room_in_hopenets(real_faces) -> None:
    for image, face in real_faces:
        assert face.points68 is not None
        deca, hopenet = (
            transform(template(name).matrix(face), face.points68)
            for name in ("deca-224", "hopenet-224")
        )
        assert np.ptp(deca, axis=0).mean() == pytest.approx(223 / 1.375)
        assert deca.min() > 0 and deca.max() < 223
        assert 80 < np.ptp(hopenet, axis=0).mean() < 140
        assert 111 < hopenet[:, 1].mean() < 150  # the face is low, as the hair belongs to the head
        assert template("hopenet-224").crop(image, face).shape == (224, 224, 3)
