"""`celebahq-similarity` on embeddings made by hand."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from verification_world import protocol

from anonbench.errors import BadConfig, BadData
from anonbench.registry import protocols
from anonbench.results.published import published
from anonbench.values import Embeddings, Sample

SPEC = "celebahq-similarity:bootstrap=100:images=all"
EAST, NORTH, WEST = np.array([2.0, 0.0]), np.array([0.0, 3.0]), np.array([-1.0, 0.0])
NORTHEAST = np.array([5.0, 5.0])


@dataclass
class Album:
    """Embeddings per source, seed and image; None where an image failed.

    Implements Dataset and Evidence as far as the protocol needs them.
    """

    reference: dict[str, np.ndarray | None]
    published: dict[int, dict[str, np.ndarray | None]]
    recovered: dict[int, dict[str, np.ndarray | None]] = field(default_factory=dict)
    unfound: set[tuple[str, str]] = field(default_factory=set)

    def samples(self):
        return [Sample(name, name.split("/")[0]) for name in self.reference]

    @property
    def seeds(self):
        return tuple(self.published)

    def lacks(self, source):
        return "not reversible" if source == "recovered" and not self.recovered else ""

    def embeddings(self, source, judge, seed=None):
        of_source = getattr(self, source)
        vectors = of_source if source == "reference" else of_source[seed]
        good = [name for name, vector in vectors.items() if vector is not None]
        return Embeddings(
            tuple(good),
            np.array([vectors[name] for name in good], np.float32),
            np.array([(source, name) not in self.unfound for name in good]),
            {name: f"broken {source}" for name in vectors if vectors[name] is None},
        )


def measure(album: Album, spec: str = SPEC):
    bench = protocol(spec)
    scores = bench.score(album, album, "judge", None)
    reduction = bench.reduce(scores)
    return scores, reduction.counts, {metric.name: metric for metric in reduction.metrics}


def test_by_hand_over_images_and_seeds() -> None:
    album = Album(
        {"a/1": EAST, "b/1": EAST},
        {7: {"a/1": EAST, "b/1": NORTH}, 8: {"a/1": WEST, "b/1": NORTHEAST}},
        {7: {"a/1": EAST, "b/1": EAST}, 8: {"a/1": EAST, "b/1": NORTHEAST}},
    )
    scores, counts, found = measure(album)
    root = np.sqrt(0.5)
    np.testing.assert_allclose(scores["published"], [[1, -1], [0, root]], atol=1e-7)
    cosine = found["cosine"]
    assert cosine.value == pytest.approx(root / 4)
    assert cosine.std == pytest.approx(np.std([0, root / 2]))
    assert cosine.std_of == "images, population, each the mean of 2 seeds"
    assert cosine.detail["with seed 7"] == pytest.approx(0.5)
    assert cosine.detail["with seed 8"] == pytest.approx((root - 1) / 2)
    by_seed = [0.5, (root - 1) / 2]
    assert cosine.detail["std over 2 seeds, population"] == pytest.approx(np.std(by_seed))
    assert (cosine.n, cosine.direction, counts.used) == (2, "lower", 2)
    assert "bootstrap over identities" in cosine.intervals[0].method
    assert found["cosine-recovered"].value == pytest.approx((3 + root) / 4)
    assert found["cosine-recovered"].direction == "higher"


def test_a_method_that_changes_nothing_has_cosine_one_exactly() -> None:
    rng = np.random.default_rng(0)
    vectors = {f"p{index}/1": rng.normal(size=512) for index in range(20)}
    _, _, found = measure(Album(vectors, {0: vectors}, {0: vectors}))
    for metric in found.values():
        assert (metric.value, metric.std) == (1, 0)
        assert (metric.intervals[0].low, metric.intervals[0].high) == (1, 1)
        assert not any("std over" in name for name in metric.detail)  # of one seed there is none
        assert metric.std_of == "images, population"


def test_without_recovery_it_says_why() -> None:
    _, _, found = measure(Album({"a/1": EAST}, {0: {"a/1": NORTH}}))
    assert found["cosine"].value == pytest.approx(0)
    assert found["cosine-recovered"].value is None
    assert found["cosine-recovered"].reason == "not reversible"


def test_an_image_that_failed_with_one_seed_is_left_out_and_counted() -> None:
    album = Album(
        {"a/1": EAST, "b/1": None, "c/1": EAST, "d/1": EAST},
        {
            0: {"a/1": EAST, "b/1": EAST, "c/1": EAST, "d/1": np.zeros(2)},
            1: {"a/1": EAST, "b/1": None, "c/1": None, "d/1": EAST},
        },
    )
    scores, counts, found = measure(album)
    assert (found["cosine"].value, found["cosine"].n) == (1, 1)
    assert (counts.expected, counts.used) == (4, 1)
    once = ("broken reference", "broken published", "unusable embedding")
    assert counts.failed == dict.fromkeys(once, 1)
    assert set(scores["image"]) == set(album.reference)


def test_an_image_that_was_not_recovered_counts_for_the_published_one_only() -> None:
    same = {"a/1": EAST, "b/1": EAST}
    _, counts, found = measure(Album(same, {0: same}, {0: {"a/1": NORTHEAST, "b/1": None}}))
    assert (found["cosine"].n, found["cosine-recovered"].n) == (2, 1)
    assert found["cosine-recovered"].value == pytest.approx(np.sqrt(0.5))
    assert counts.used == 2
    nothing = Album(same, {0: same}, {0: {"a/1": None, "b/1": None}})
    assert measure(nothing)[2]["cosine-recovered"].reason == "no recovered image could be measured"


def test_images_without_a_face_are_judged_and_counted() -> None:
    same = {"a/1": EAST, "b/1": EAST}
    unfound = {("published", "a/1"), ("published", "b/1"), ("recovered", "a/1")}
    album = Album(same, {0: same, 1: same}, {0: same, 1: {"a/1": EAST, "b/1": None}}, unfound)
    _, counts, found = measure(album)
    assert found["cosine"].n == 2
    assert counts.detail == {
        "people": 2,
        "reference images without a face": 0,
        "published images without a face": 4,
        "recovered images without a face": 2,
    }


def test_nothing_to_measure_is_an_error_with_the_reason() -> None:
    with pytest.raises(BadData, match="broken reference: 2 images"):
        measure(Album({"a/1": None, "b/1": None}, {0: {"a/1": EAST, "b/1": EAST}}))


def test_needs_fresh_seeds_of_every_source() -> None:
    album = Album({"b/1": EAST, "a/1": EAST}, {})
    needs = protocol(f"{SPEC}:seeds=3").needs(album, None)
    ids = ("a/1", "b/1")
    assert (needs.reference, needs.published, needs.recovered) == (ids, ids, ids)
    assert (needs.original, needs.seeds) == ((), 3)
    assert protocol(SPEC).needs(album, 1).published == ("b/1",)
    assert protocol(SPEC).needs(album, 1).seeds == 5


@pytest.mark.parametrize("setting", ["images=some", "seeds=0", "bootstrap=3"])
def test_a_bad_setting_is_named(setting) -> None:
    with pytest.raises(BadConfig, match=f"celebahq-similarity:{setting.split('=')[0]}"):
        protocol(f"celebahq-similarity:{setting}")


def test_the_card_names_the_tables_and_the_metrics_of_the_papers() -> None:
    card = protocols.card("celebahq-similarity")
    printed = [value for value in published() if value.protocol == card.name]
    assert {value.table for value in printed} == set(card.published)
    assert {value.metric for value in printed} == {spec.name for spec in card.metrics}
    judges = [value.judge for value in printed if value.table == "g2face-table-2"]
    assert set(judges) == set(card.suites["paper"].judges)
    assert protocols.parse(card.name, "paper").config["images"] == "all"
