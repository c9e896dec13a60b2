"""Which crops are processed together, and that none brings back a face of its neighbour."""

import numpy as np
import pytest

from anonbench import registry
from anonbench.data.align import template
from anonbench.data.splice import footprint
from anonbench.data.warp import transform
from anonbench.photos.anonymize import Anonymizer
from anonbench.photos.crops import Machine, rounds
from anonbench.photos.keys import forgotten_keys
from anonbench.values import Face

SIZE = 64


def at(left, top, scale=1.0):
    """A crop whose left top corner is here, `scale` pixels of the photo to one of its own."""
    return np.array([[1.0, 0, -left], [0, 1.0, -top]]) / scale


def test_crops_that_touch_wait_for_each_other() -> None:
    row = [at(100 * n, 0) for n in range(4)]
    assert rounds(row, SIZE) == [[0, 1, 2, 3]]
    dense = [at(50 * n, 0) for n in range(4)]
    assert rounds(dense, SIZE) == [[0], [1], [2], [3]]
    assert rounds([at(0, 0), at(200, 0), at(50, 0)], SIZE) == [[0, 1], [2]]
    assert rounds([], SIZE) == []


@pytest.mark.parametrize("seed", range(5))
def test_every_crop_has_its_turn_after_all_earlier_ones_that_it_touches(seed) -> None:
    random = np.random.default_rng(seed)
    crops = [at(*random.uniform(0, 500, 2), random.uniform(0.3, 3)) for _ in range(25)]
    groups = rounds(crops, SIZE)
    turn = {number: order for order, group in enumerate(groups) for number in group}
    assert sorted(turn) == list(range(25))
    places = [footprint(crop, SIZE) for crop in crops]
    for n, (low, high) in enumerate(places):
        for m, (least, greatest) in enumerate(places[:n]):
            if (low <= greatest).all() and (least <= high).all():
                assert turn[m] < turn[n]


def face(x, y, eyes=40.0):
    points = np.array([[-0.5, 0], [0.5, 0], [0, 0.6], [-0.4, 1], [0.4, 1]]) * eyes + (x, y)
    box = np.array([x - eyes, y - eyes, x + eyes, y + eyes])
    return Face(box=box, score=1.0, points5=points)


@pytest.mark.parametrize("order", [1, -1])
def test_a_neighbours_crop_does_not_bring_a_face_back(order) -> None:
    image = np.random.default_rng(0).integers(100, 256, (300, 400, 3), dtype=np.uint8)
    faces = [face(140, 120), face(225, 130, 41)][::order]
    machine = Machine(device="cpu")
    hide = Anonymizer(
        registry.methods.parse("blackout:region=face"), registry.judges.card("dlib-hog"), machine
    )
    result, _, matrices = hide._replace(image, faces, forgotten_keys())
    frame = template("ffhq-256")
    rows, columns = np.mgrid[:300, :400]
    pixels = np.stack([columns, rows], axis=-1).astype(float)
    for one in faces:
        place = transform(frame.matrix(one), pixels) - (127.5, 140)
        inner = ((place / (90, 95)) ** 2).sum(axis=-1) < 1
        assert inner.sum() > 5000, "the mask but for its edge and the border that fades in"
        assert result[inner].max() == 0
    assert len(rounds(matrices, frame.size)) == 2, "their crops overlap"
