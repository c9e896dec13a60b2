"""Crops spliced into photos: what comes back, and what is left alone."""

import numpy as np
import pytest
from PIL import Image

from anonbench.data.align import paste_back
from anonbench.data.splice import RING, cut, footprint, kept, splice
from anonbench.data.warp import inverse, transform, warp
from anonbench.errors import BadImage

SIZE = 48


def smooth(height, width, seed=0):
    """A picture of soft blobs, with values from 0 to 255."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def secretive(seed=1):
    """A crop with random least significant bits."""
    bits = np.random.default_rng(seed).integers(0, 2, (SIZE, SIZE, 3), dtype=np.uint8)
    return smooth(SIZE, SIZE, seed) // 2 * 2 + bits


def placed(spread, angle=0.2, centre=(70.3, 60.8)):
    """The similarity from a photo to a crop that is `spread` times as wide there."""
    cos, sin = spread * np.cos(angle), spread * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.full(2, (SIZE - 1) / 2)
    return inverse(np.column_stack([linear, np.array(centre) - linear @ middle]))


def put(photo, crop, matrix, **options):
    return splice(photo, warp(photo, matrix, SIZE, SIZE, "edge"), crop, matrix, **options)


@pytest.mark.parametrize("spread", [1.25, 1.7, 2.0, 3.1])
@pytest.mark.parametrize("angle", [0.0, 0.2, -2.0])
def test_every_bit_of_an_enlarged_crop_comes_back(spread, angle) -> None:
    photo, crop = smooth(220, 240), secretive()
    matrix = placed(spread, angle, (118.4, 107.9))
    assert np.array_equal(cut(put(photo, crop, matrix), matrix, SIZE), crop)
    pasted = cut(paste_back(photo, crop, matrix), matrix, SIZE)
    assert ((pasted ^ crop) & 1).mean() > 0.3, "what this module is for"


@pytest.mark.parametrize(("spread", "least"), [(1.1, 0.99), (1.0, 0.85)])
def test_most_of_a_crop_of_the_same_size_comes_back(spread, least) -> None:
    photo, crop, matrix = smooth(120, 140), secretive(), placed(spread)
    assert kept(put(photo, crop, matrix), crop, matrix) > least


def test_a_crop_that_shrinks_is_only_resampled() -> None:
    photo, crop, matrix = smooth(120, 140), secretive(), placed(0.8)
    spliced = put(photo, crop, matrix)
    assert np.array_equal(spliced, put(photo, crop, matrix, exactly=False))
    assert kept(spliced, crop, matrix) < 0.6


def test_the_corrections_cannot_be_seen() -> None:
    photo, crop, matrix = smooth(150, 150), secretive(), placed(1.6)
    exact, plain = (put(photo, crop, matrix, exactly=way).astype(int) for way in (True, False))
    changed = np.abs(exact - plain)
    assert 0 < changed[changed > 0].mean() < 2
    assert changed.max() < 30


def test_pixels_outside_the_ring_stay_as_they_are() -> None:
    photo, crop, matrix = smooth(150, 150), secretive(), placed(1.4)
    before = photo.copy()
    changed = (put(photo, crop, matrix) != photo).any(axis=2)
    assert np.array_equal(photo, before)
    rows, columns = np.nonzero(changed)
    at = transform(matrix, np.stack([columns, rows], axis=1).astype(float))
    reach = max(RING * SIZE, 2) + 0.5
    assert at.min() >= -reach
    assert at.max() <= SIZE - 1 + reach
    low, high = footprint(matrix, SIZE)
    assert (low <= (columns.min(), rows.min())).all()
    assert (high >= (columns.max(), rows.max())).all()


def test_the_ring_leads_from_the_crop_to_the_photo_and_can_be_undone() -> None:
    photo, matrix = np.full((150, 150, 3), 100, np.uint8), placed(1.5, 0.0, (75, 75))
    before, after = (np.full((SIZE, SIZE, 3), value, np.uint8) for value in (100, 180))
    spliced = splice(photo, before, after, matrix, exactly=False)
    profile = spliced[75, 75:, 0].astype(int)
    assert profile[0] == 180
    assert profile[-1] == 100
    assert (np.diff(profile) <= 0).all()
    assert np.diff(profile).min() > -80, "no hard edge"
    back = splice(spliced, after, before, matrix, exactly=False)
    assert np.abs(back.astype(int) - 100).max() <= 1


def test_a_crop_beyond_the_border_keeps_what_lies_on_the_photo() -> None:
    photo, crop = smooth(120, 120), secretive()
    matrix = placed(1.5, 0.0, (20.2, 60.4))
    same = cut(put(photo, crop, matrix), matrix, SIZE) == crop
    inside = transform(inverse(matrix), np.stack([np.arange(SIZE), np.full(SIZE, 24)], 1) * 1.0)
    on_photo = inside[:, 0] >= 0
    assert 0.3 < on_photo.mean() < 0.9
    assert same[:, on_photo].all()
    assert not same[:, ~on_photo].all()


def test_whole_pixels_are_cut_out_as_they_are() -> None:
    photo = np.random.default_rng(3).integers(0, 256, (90, 100, 3), dtype=np.uint8)
    matrix = np.array([[1.0, 0, -21], [0, 1, -13]])
    assert np.array_equal(cut(photo, matrix, SIZE), photo[13 : 13 + SIZE, 21 : 21 + SIZE])


def test_a_place_outside_the_photo_is_refused() -> None:
    photo, crop = smooth(60, 60), secretive()
    matrix = placed(1.0, 0.0, (400, 30))
    with pytest.raises(BadImage, match="do not fit the image"):
        cut(photo, matrix, SIZE)
    with pytest.raises(BadImage, match="do not fit the image"):
        splice(photo, crop, crop, matrix)
