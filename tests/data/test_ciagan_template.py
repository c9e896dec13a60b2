"""CIAGAN's crop, on faces whose crops follow by hand and beside the authors' way of cutting."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.data.align import most_central, template
from anonbench.data.images import read_image
from anonbench.errors import BadImage
from anonbench.values import Face


def face(left: tuple[float, float], right: tuple[float, float], *, with68: bool = True) -> Face:
    """A face whose eyes' inner corners are there, or, without 68 landmarks, its eyes' centres."""
    points68 = np.zeros((68, 2))
    points68[39], points68[42] = left, right
    points5 = np.zeros((5, 2))
    points5[0], points5[1] = left, right
    return Face(np.zeros(4), 1.0, points5, points68 if with68 else None)


def square(found: Face) -> tuple[np.ndarray, float]:
    """Centre and side, in image pixels, of what a crop covers from edge to edge."""
    matrix = template("ciagan-128").matrix(found)
    assert matrix[0, 1] == matrix[1, 0] == 0
    assert matrix[0, 0] == matrix[1, 1]
    return (63.5 - matrix[:, 2]) / matrix[0, 0], 128 / matrix[0, 0]


def test_it_is_eighty_ninths_of_the_inner_corners_distance_around_their_middle() -> None:
    centre, side = square(face((100, 118), (127, 122)))
    np.testing.assert_allclose(centre, [113.5, 120])
    assert side == pytest.approx(27 * 80 / 9)


def test_eyes_above_each_other_or_exchanged_fix_no_crop() -> None:
    for right in ((100, 150), (60, 120)):
        with pytest.raises(BadImage, match=r"eyes are 0\.00 pixels apart"):
            square(face((100, 120), right))


def test_where_the_image_ends_its_edge_goes_on() -> None:
    image = np.full((200, 200, 3), 200, np.uint8)
    assert (template("ciagan-128").crop(image, face((10, 20), (40, 20))) == 200).all()


@pytest.mark.parametrize("person", ["Aaron_Eckhart", "Zach_Parise"])
def test_the_stretched_middle_is_what_the_authors_cut(person: str, hog, shared: Path) -> None:
    file = shared / "data" / "lfw" / "lfw-deepfunneled" / person / f"{person}_0001.jpg"
    image = read_image(file)
    found = most_central(hog.detect(image), 250, 250)
    (left, top), (right, bottom) = found.points68[[39, 42]]
    x, y, half = int((left + right) / 2), int((top + bottom) / 2), int((right - left) * 5)
    aside = int(half / 218 * 178)
    padded = np.pad(image, ((300, 300), (300, 300), (0, 0)), "edge")
    window = padded[y - half + 300 : y + half + 300, x - aside + 300 : x + aside + 300]
    canvas = Image.fromarray(window).resize((178, 218), Image.Resampling.BICUBIC)
    theirs = canvas.resize((144, 144), Image.Resampling.LANCZOS).crop((8, 8, 136, 136))
    crop = Image.fromarray(template("ciagan-128").crop(image, found))
    across = 128 * 178 / 218
    middle = (64 - across / 2, 0, 64 + across / 2, 128)
    ours = np.asarray(crop.resize((128, 128), Image.Resampling.BICUBIC, middle), float)
    moved = [np.roll(ours, by, axis) for axis in (0, 1) for by in (-6, 6)]
    apart, *if_moved = (np.abs(np.asarray(theirs) - image).mean() for image in (ours, *moved))
    assert apart < 0.3 * min(if_moved)


def test_without_68_landmarks_it_is_nearly_the_same(hog, shared: Path) -> None:
    from dataclasses import replace

    folder = shared / "data" / "lfw" / "lfw-deepfunneled"
    image = read_image(folder / "Aaron_Eckhart" / "Aaron_Eckhart_0001.jpg")
    found = most_central(hog.detect(image), 250, 250)
    (centre, side), (other_centre, other_side) = (
        square(one) for one in (found, replace(found, points68=None))
    )
    assert other_side == pytest.approx(side, rel=0.15)
    assert np.linalg.norm(other_centre - centre) < 0.03 * side
