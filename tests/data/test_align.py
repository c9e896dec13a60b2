"""Alignment against hand computations, numpy's least squares and dlib's own chips."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.data.align import map_face, most_central, paste_back, points5_of, template
from anonbench.data.images import read_image
from anonbench.data.templates.landmarks import ARCFACE_112
from anonbench.data.warp import warp
from anonbench.errors import BadImage, UserError
from anonbench.values import Face

POINTS = np.array([[90.0, 110.0], [150.0, 104.0], [122.0, 140.0], [98.0, 172.0], [148.0, 168.0]])


def face_at(points5: np.ndarray) -> Face:
    low, high = points5.min(0) - 20, points5.max(0) + 20
    return Face(np.concatenate([low, high]), 1.0, points5)


def smooth_image(height: int = 250, width: int = 240) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width] / 40
    waves = [np.sin(x + 2 * i) * np.cos(0.8 * y - i) for i in range(3)]
    return (128 + 90 * np.stack(waves, -1)).round().astype(np.uint8)


def similarity(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


# ---------------------------------------------------------------------------------------- FFHQ
def test_ffhq_square_is_the_one_of_the_published_recipe() -> None:
    """The quad as FFHQ's recipe gives it, computed here step by step with vectors."""
    left, right, _, mouth_left, mouth_right = POINTS
    eye_to_eye, eyes = right - left, (left + right) / 2
    eye_to_mouth = (mouth_left + mouth_right) / 2 - eyes
    x = eye_to_eye - np.array([-eye_to_mouth[1], eye_to_mouth[0]])
    x *= max(2 * np.hypot(*eye_to_eye), 1.8 * np.hypot(*eye_to_mouth)) / np.hypot(*x)
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * eye_to_mouth
    quad = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    corners = np.array([[0, 0], [0, 256], [256, 256], [256, 0]]) - 0.5
    matrix = template("ffhq-256").matrix(face_at(POINTS))
    np.testing.assert_allclose(apply(matrix, quad), corners, atol=1e-9)


def test_ffhq_scales_with_the_size_in_its_name() -> None:
    big, small = (template(f"ffhq-{size}").matrix(face_at(POINTS)) for size in (256, 128))
    np.testing.assert_allclose((apply(big, POINTS) + 0.5) / 2 - 0.5, apply(small, POINTS))


@pytest.mark.parametrize("name", ["ffhq-256", "arcface-112"])
@pytest.mark.parametrize(("angle", "scale"), [(0.4, 1.0), (-1.2, 1.7), (3.0, 0.8)])
def test_the_crop_does_not_depend_on_where_and_how_the_face_stands(name, angle, scale) -> None:
    chosen = template(name)
    moved = apply(similarity(angle, scale, (31.0, -12.0)), POINTS)
    here = apply(chosen.matrix(face_at(POINTS)), POINTS)
    there = apply(chosen.matrix(face_at(moved)), moved)
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_a_turned_picture_gives_the_same_pixels() -> None:
    image = smooth_image()
    turned = np.rot90(image).copy()
    points = np.stack([POINTS[:, 1], image.shape[1] - 1 - POINTS[:, 0]], axis=1)
    for name in ("ffhq-128", "arcface-112"):
        one = template(name).crop(image, face_at(POINTS)).astype(int)
        other = template(name).crop(turned, face_at(points)).astype(int)
        assert np.abs(one - other).mean() < 1
        assert one.shape == (template(name).size,) * 2 + (3,)


def test_crop_pixels_are_those_of_the_image_at_the_matrix() -> None:
    image = smooth_image().astype(np.float64)
    chosen = template("ffhq-256")
    points = POINTS * 0.6 + 60
    matrix = chosen.matrix(face_at(points))
    crop = chosen.crop(image.astype(np.uint8), face_at(points))
    for x, y in [(40, 60), (128, 128), (200, 90)]:
        linear = np.linalg.inv(matrix[:, :2])
        u, v = linear @ (np.array([x, y]) - matrix[:, 2])
        i, j, fu, fv = int(v), int(u), u - int(u), v - int(v)
        patch = image[i : i + 2, j : j + 2]
        value = (
            patch[0, 0] * (1 - fu) * (1 - fv)
            + patch[0, 1] * fu * (1 - fv)
            + patch[1, 0] * (1 - fu) * fv
            + patch[1, 1] * fu * fv
        )
        assert np.abs(crop[y, x] - value).max() < 2


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = template("ffhq-64").crop(stripes, face_at((POINTS - 120) * 2 + 400))
    assert crop.std() < 12
    assert abs(float(crop.mean()) - 127.5) < 3


def test_outside_the_image_ffhq_mirrors_and_arcface_is_black() -> None:
    bright = np.full((120, 120, 3), 200, np.uint8)
    at_the_edge = face_at(POINTS * 0.5 + (-30, -30))
    assert template("ffhq-128").crop(bright, at_the_edge).min() > 190
    assert template("arcface-112").crop(bright, face_at(POINTS * 0.5 - 30)).min() == 0


# ------------------------------------------------------------------------------ aligned images
def aligned(width: int, height: int | None = None) -> Face:
    return replace(face_at(POINTS), whole=np.array([width, height or width], dtype=float))


def test_an_aligned_image_of_the_right_size_is_its_own_crop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    chosen = template("ffhq-256")
    assert np.array_equal(chosen.crop(image, aligned(256)), image)
    np.testing.assert_array_equal(chosen.matrix(aligned(256)), [[1, 0, 0], [0, 1, 0]])


def test_an_aligned_image_is_reduced_as_pillow_does() -> None:
    smooth = Image.fromarray(smooth_image()).resize((1024, 1024), Image.Resampling.BICUBIC)
    crop = template("ffhq-256").crop(np.asarray(smooth), aligned(1024)).astype(int)
    for reduced in (smooth.reduce(4), smooth.resize((256, 256), Image.Resampling.LANCZOS)):
        assert np.abs(crop - np.asarray(reduced)).max() <= 2
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    assert template("ffhq-256").crop(stripes, aligned(1024)).std() < 2


@pytest.mark.parametrize(("side", "size"), [(1024, 256), (256, 1024), (1000, 256)])
def test_the_edges_of_an_aligned_image_go_to_those_of_the_crop(side, size) -> None:
    matrix = template(f"ffhq-{size}").matrix(aligned(side))
    edges = np.array([[-0.5, -0.5], [side - 0.5, side - 0.5]])
    np.testing.assert_allclose(apply(matrix, edges), [[-0.5, -0.5], [size - 0.5, size - 0.5]])
    mapped = map_face(aligned(side), matrix)
    np.testing.assert_array_equal(mapped.whole, [size, size])
    back = template(f"ffhq-{side}").matrix(mapped)
    np.testing.assert_allclose(apply(back, apply(matrix, POINTS)), POINTS)


def test_an_aligned_image_still_goes_to_other_templates_by_its_landmarks() -> None:
    chosen = template("arcface-112")
    matrix = chosen.matrix(aligned(256))
    np.testing.assert_array_equal(matrix, chosen.matrix(face_at(POINTS)))
    assert map_face(aligned(256), matrix).whole is None
    assert map_face(aligned(256), similarity(0.0, 1.0, (3.0, 0.0))).whole is None


def test_an_aligned_image_can_be_pasted_back() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    chosen = template("ffhq-64")
    crop = chosen.crop(image, aligned(64))
    assert np.array_equal(paste_back(image, crop, chosen.matrix(aligned(64))), image)


def test_an_image_that_is_not_square_is_not_aligned() -> None:
    with pytest.raises(BadImage, match="178 x 218 pixels is not square"):
        template("ffhq-256").crop(smooth_image(), aligned(178, 218))


# ------------------------------------------------------------------------------------- ArcFace
def test_arcface_is_the_least_squares_similarity() -> None:
    matrix = template("arcface-112").matrix(face_at(POINTS))
    rows, values = [], []
    for (x, y), (u, v) in zip(POINTS, ARCFACE_112, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    np.testing.assert_allclose(matrix, [[a, -b, tx], [b, a, ty]], atol=1e-9)


def test_landmarks_of_the_template_map_to_themselves() -> None:
    matrix = template("arcface-112").matrix(face_at(ARCFACE_112.copy()))
    np.testing.assert_allclose(matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)


# ---------------------------------------------------------------------------------------- dlib
@pytest.fixture(scope="module")
def photograph(shared: Path) -> np.ndarray:
    folder = shared / "data" / "lfw" / "lfw-deepfunneled"
    return read_image(folder / "Aaron_Peirsol" / "Aaron_Peirsol_0001.jpg")


def test_dlib_150_is_dlibs_own_chip_bit_for_bit(hog, photograph, artefact) -> None:
    import dlib

    (face, *_) = hog.detect(photograph)
    left, top, right, bottom = (int(side) for side in face.box)
    predictor = dlib.shape_predictor(str(artefact("dlib-shape-predictor-5")))
    shape = predictor(photograph, dlib.rectangle(left, top, right, bottom))
    chip = dlib.get_face_chip(photograph, shape, 150, 0.25)
    assert np.array_equal(template("dlib-150").crop(photograph, face), chip)
    without = replace(face, dlib5=None)
    assert np.array_equal(template("dlib-150").crop(photograph, without), chip)
    with pytest.raises(BadImage, match="5-point"):
        template("dlib-150").matrix(without)


def test_dlib_matrix_leads_to_the_chip(hog, photograph) -> None:
    (face, *_) = hog.detect(photograph)
    chosen = template("dlib-150")
    chip = chosen.crop(photograph, face).astype(int)
    a, b, c, d, e, f = np.linalg.inv(np.vstack([chosen.matrix(face), [0, 0, 1]]))[:2].ravel()
    half = 0.5 - 0.5 * a - 0.5 * b, 0.5 - 0.5 * d - 0.5 * e
    coefficients = (a, b, c + half[0], d, e, f + half[1])
    warped = Image.fromarray(photograph).transform(
        (150, 150), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    assert np.abs(chip - np.asarray(warped).astype(int)).mean() < 0.05


# ---------------------------------------------------------------------------------- paste back
def test_pasting_back_an_unchanged_crop_hardly_changes_the_picture(hog, photograph) -> None:
    (face, *_) = hog.detect(photograph)
    chosen = template("ffhq-256")
    matrix = chosen.matrix(face)
    back = paste_back(photograph, chosen.crop(photograph, face), matrix).astype(int)
    assert np.abs(back - photograph).mean() < 1.5
    assert np.percentile(np.abs(back - photograph), 99) < 12


def test_pasting_back_a_chip_of_dlib_hardly_changes_the_picture(hog, photograph) -> None:
    (face, *_) = hog.detect(photograph)
    chosen = template("dlib-150")
    crop = chosen.crop(photograph, face)
    back = paste_back(photograph, crop, chosen.matrix(face)).astype(int)
    moved = paste_back(photograph, crop, chosen.matrix(face) + np.array([0, 0, 0.7]))
    error = np.abs(back - photograph).mean()
    assert error < 1
    assert error < 0.8 * np.abs(moved.astype(int) - photograph).mean()


def test_pasting_back_is_exact_where_no_pixel_moves_between_others() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 100, 3), dtype=np.uint8)
    matrix = np.array([[1.0, 0.0, -12.0], [0.0, 1.0, 7.0]])
    crop = warp(image, matrix, 64, 64, "soft")
    assert np.array_equal(crop[7:], image[:57, 12:76])
    assert np.array_equal(paste_back(image, crop, matrix), image)


def test_pasting_replaces_the_face_and_leaves_the_rest(hog, photograph) -> None:
    (face, *_) = hog.detect(photograph)
    matrix = template("ffhq-256").matrix(replace(face, points5=(face.points5 - 125) * 0.5 + 125))
    before = photograph.copy()
    pasted = paste_back(photograph, np.zeros((256, 256, 3), np.uint8), matrix)
    assert np.array_equal(photograph, before)
    grid = np.stack(np.meshgrid(np.arange(250), np.arange(250)), -1).astype(float)
    inside = apply(matrix, grid)
    outside = (inside < -1).any(-1) | (inside > 256).any(-1)
    middle = ((inside > 20) & (inside < 235)).all(-1)
    assert outside.any()
    assert middle.any()
    assert np.array_equal(pasted[outside], photograph[outside])
    assert (pasted[middle] == 0).all()


@pytest.mark.parametrize("shift", [(-150, 0), (0, 130), (160, 160)])
def test_pasting_over_the_border_works(shift) -> None:
    image = smooth_image()
    chosen, face = template("ffhq-128"), face_at(POINTS + shift)
    matrix = chosen.matrix(face)
    unchanged = paste_back(image, chosen.crop(image, face), matrix).astype(int)
    assert np.abs(unchanged - image).max() < 12
    grid = np.stack(np.meshgrid(np.arange(image.shape[1]), np.arange(image.shape[0])), -1)
    inside = apply(matrix, grid.astype(float))
    middle = ((inside > 8) & (inside < 119)).all(-1)
    assert middle[[0, -1]].any() or middle[:, [0, -1]].any()
    white = paste_back(image, np.full((128, 128, 3), 255, np.uint8), matrix)
    assert (white[middle] == 255).all()
    assert np.array_equal(
        white[((inside < -1) | (inside > 128)).any(-1)],
        image[((inside < -1) | (inside > 128)).any(-1)],
    )


# -------------------------------------------------------------------------------------- faces
def test_a_mapped_face_is_where_its_pixels_went() -> None:
    matrix = template("ffhq-256").matrix(face_at(POINTS))
    face = replace(face_at(POINTS), points68=np.tile(POINTS[0], (68, 1)))
    mapped = map_face(face, matrix)
    np.testing.assert_allclose(mapped.points5, apply(matrix, POINTS))
    np.testing.assert_allclose(mapped.points68[7], apply(matrix, POINTS[0]))
    centre = face.box.reshape(2, 2).mean(0)
    np.testing.assert_allclose(mapped.box.reshape(2, 2).mean(0), apply(matrix, centre))
    assert mapped.dlib5 is None


def test_five_points_of_68() -> None:
    points = np.arange(136, dtype=float).reshape(68, 2)
    expected = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
    np.testing.assert_array_equal(points5_of(points), expected)


def test_the_most_central_face_is_chosen_or_none() -> None:
    near, far = face_at(POINTS), face_at(POINTS + 60)
    assert most_central([far, near], 240, 250) is near
    assert most_central([], 240, 250) is None


# -------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize("name", ["ffhq", "ffhq-0", "ffhq-99999", "vgg-256", "FFHQ-256", ""])
def test_an_unknown_template_is_named(name) -> None:
    with pytest.raises(UserError, match="alignment template"):
        template(name)


@pytest.mark.parametrize("name", ["ffhq-256", "arcface-112"])
def test_degenerate_landmarks_are_a_bad_image(name) -> None:
    with pytest.raises(BadImage, match="coincide"):
        template(name).matrix(face_at(np.full((5, 2), 50.0)))


@pytest.mark.parametrize("shift", [5000, -5000])
def test_landmarks_far_outside_are_a_bad_image(shift) -> None:
    with pytest.raises(BadImage, match="do not fit"):
        template("ffhq-256").crop(smooth_image(), face_at(POINTS + shift))
