"""FaceNet's crop against hand computation and against MTCNN's own boxes on LFW."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anonbench import registry
from anonbench.data.align import most_central, template
from anonbench.data.images import read_image
from anonbench.data.warp import transform
from anonbench.errors import BadImage
from anonbench.interfaces import Detector
from anonbench.values import Face

POINTS = np.array([[90.0, 110.0], [150.0, 110.0], [120.0, 140.0], [98.0, 170.0], [142.0, 170.0]])
MIRROR = [1, 0, 2, 4, 3]


def face_at(points5: np.ndarray) -> Face:
    return Face(np.zeros(4), 1.0, points5)


def rectangle(points5: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom of what a crop of 160 pixels shows, edge to edge."""
    matrix = template("facenet-160").matrix(face_at(points5))
    scale = matrix[:, :2].diagonal()
    low, high = ((edge - matrix[:, 2]) / scale for edge in (-0.5, 159.5))
    return np.concatenate([low, high])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    areas = [np.prod(r[2:] - r[:2]) for r in (a, b)]
    common = np.prod(sides.clip(0))
    return float(common / (sum(areas) - common))


def with_margin(box: np.ndarray, margin: float = 32) -> np.ndarray:
    """The box as facenet's script widens it, but for clipping it to the image."""
    return box + margin / 2 * np.array([-1, -1, 1, 1])


def test_the_rectangle_of_a_frontal_face_is_the_stated_one() -> None:
    spread = np.sqrt(((POINTS - POINTS.mean(0)) ** 2).sum())
    left, top, right, bottom = rectangle(POINTS)
    np.testing.assert_allclose(right - left, 2.05 * spread)
    np.testing.assert_allclose(bottom - top, 2.56 * spread)
    np.testing.assert_allclose((left + right) / 2, 120)
    np.testing.assert_allclose((top + bottom) / 2, 140 - 0.15 * spread)


def test_a_turned_head_moves_the_rectangle_away_from_the_nose() -> None:
    turned = POINTS.copy()
    turned[2, 0] += 10
    before, after = rectangle(POINTS), rectangle(turned)
    assert (after + 10 < before + 0.5)[[0, 2]].all()
    assert abs(after - before)[[1, 3]].max() < 5


def test_a_mirrored_face_gives_the_mirrored_crop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (250, 250, 3), np.uint8)
    image = np.asarray(Image.fromarray(image).resize((25, 25)).resize((250, 250)))
    tilted = POINTS + np.array([[0, 3], [0, -2], [6, 1], [2, 0], [1, -3]])
    flipped = tilted[MIRROR] * [-1, 1] + [249, 0]
    cut = template("facenet-160").crop
    crops = cut(image, face_at(tilted)), cut(image[:, ::-1], face_at(flipped))[:, ::-1]
    assert crops[0].shape == (160, 160, 3)
    assert np.abs(crops[0].astype(int) - crops[1]).max() <= 2


def test_it_moves_and_grows_with_the_face() -> None:
    np.testing.assert_allclose(
        rectangle(3 * POINTS + [7, -5]), 3 * rectangle(POINTS) + [7, -5, 7, -5]
    )


def test_points_land_where_the_crop_shows_them() -> None:
    image = np.zeros((250, 250, 3), np.uint8)
    for x, y in POINTS.astype(int):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    chosen = template("facenet-160")
    crop = chosen.crop(image, face_at(POINTS))
    for x, y in transform(chosen.matrix(face_at(POINTS)), POINTS).round().astype(int):
        assert crop[y, x].min() > 200
    assert crop.mean() < 20


def test_coinciding_landmarks_are_refused() -> None:
    with pytest.raises(BadImage, match="coincide"):
        template("facenet-160").matrix(face_at(np.full((5, 2), 40.0)))


def lfw_faces(detector: Detector, files: list[Path]) -> list[Face | None]:
    images = [read_image(path) for path in files]
    return [most_central(detector.detect(i, upsample=0), i.shape[1], i.shape[0]) for i in images]


def test_it_is_mtcnns_box_with_facenets_margin_whoever_finds_the_landmarks(
    shared: Path, hog: Any
) -> None:
    pytest.importorskip("facenet_pytorch")
    mtcnn: Detector = registry.judges.load("mtcnn")(registry.judges.card("mtcnn"), "cpu")
    files = sorted((shared / "data/lfw/lfw-deepfunneled").glob("*/*_0001.jpg"))[::900]
    pairs = zip(lfw_faces(mtcnn, files), lfw_faces(hog, files), strict=True)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    assert len(both) >= 5
    true = [with_margin(a.box) for a, _ in both]
    for found in ([a for a, _ in both], [b for _, b in both]):
        overlaps = [overlap(rectangle(f.points5), box) for f, box in zip(found, true, strict=True)]
        assert np.mean(overlaps) > 0.85
        assert min(overlaps) > 0.7
