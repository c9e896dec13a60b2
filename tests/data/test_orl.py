"""ORL: its pairs are all there are, in folds of four people."""

from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from anonbench.data import open_dataset
from anonbench.errors import BadData, BadImage
from anonbench.values import Sample

pytestmark = pytest.mark.usefixtures("anonbench_home")


def test_pairs_are_all_pairs_within_folds(make_orl: Callable[[], Path]) -> None:
    pairs = open_dataset("orl", make_orl()).pairs()
    expected = set()
    for fold in range(10):
        people = range(4 * fold + 1, 4 * fold + 5)
        images = [f"s{p}/{i}.pgm" for p in people for i in range(1, 11)]
        expected |= {(fold, *pair) for pair in combinations(images, 2)}
    assert {(pair.fold, pair.a, pair.b) for pair in pairs} == expected
    assert len(pairs) == len(expected)
    assert all((p.a.split("/")[0] == p.b.split("/")[0]) == p.same for p in pairs)


def test_order_is_that_of_lfw(make_orl: Callable[[], Path]) -> None:
    pairs = open_dataset("orl", make_orl()).pairs()
    kinds = [(pair.fold, pair.same) for pair in pairs]
    assert kinds == sorted(kinds, key=lambda kind: (kind[0], not kind[1]))
    assert set(Counter(kinds).values()) == {180, 600}
    assert (pairs[0].a, pairs[0].b) == ("s1/1.pgm", "s1/2.pgm")
    assert (pairs[8].a, pairs[8].b) == ("s1/1.pgm", "s1/10.pgm")


def test_second_of_a_genuine_pair_is_never_a_first_image(make_orl: Callable[[], Path]) -> None:
    seconds = {pair.b for pair in open_dataset("orl", make_orl()).pairs() if pair.same}
    assert seconds == {f"s{p}/{i}.pgm" for p in range(1, 41) for i in range(2, 11)}


def test_samples(make_orl: Callable[[], Path]) -> None:
    root = make_orl()
    (root / "s1" / "target.jpg").touch()
    dataset = open_dataset("orl", root)
    assert len(dataset.samples()) == 400
    assert dataset.samples()[1] == Sample("s1/10.pgm", "s1")
    assert dataset.read("s3/7.pgm").tolist() == [[[22] * 3] * 4] * 4


def test_few_missing_images_are_tolerated_many_are_not(make_orl: Callable[[], Path]) -> None:
    root = make_orl()
    for image in range(1, 5):
        (root / "s9" / f"{image}.pgm").unlink()
    dataset = open_dataset("orl", root)
    assert len(dataset.pairs()) == 7800
    with pytest.raises(BadImage, match="does not exist"):
        dataset.read("s9/1.pgm")
    (root / "s9" / "5.pgm").unlink()
    with pytest.raises(BadData, match="5 are not in"):
        open_dataset("orl", root).pairs()


def test_real_orl(artefact: Callable[[str], Path]) -> None:
    dataset = open_dataset("orl", artefact("orl"))
    assert len(dataset.samples()) == 400
    assert {dataset.read(sample.id).shape for sample in dataset.samples()} == {(112, 92, 3)}


def test_card_has_an_upsampling_with_which_faces_are_found(
    artefact: Callable[[str], Path],
) -> None:
    dlib = pytest.importorskip("dlib")
    detector = dlib.get_frontal_face_detector()
    dataset = open_dataset("orl", artefact("orl"))
    images = [dataset.read(sample.id) for sample in dataset.samples()]
    found = sum(bool(detector(image, dataset.card.upsample)) for image in images)
    assert found >= 0.98 * len(images)
