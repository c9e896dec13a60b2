"""`key-sensitivity` on recoveries made by hand."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from verification_world import protocol

from anonbench.errors import BadConfig, BadData
from anonbench.values import Crops, Embeddings, Sample, WrongBits

SPEC = "key-sensitivity:bootstrap=100:images=all"
JUDGE = "fr-feature"
GREY = np.full((8, 8, 3), 0.5, np.float32)
SOURCES = ("reference", "recovered", "misrecovered", "misrecovered-again")


@dataclass
class World:
    """Images named `person/number`: how far a wrong key and wrong bits lead, and vectors.

    Implements Dataset and Evidence as far as the protocol needs them.
    """

    astray: dict[str, float] = field(default_factory=dict)
    flips: dict[str, tuple[float, ...]] = field(default_factory=dict)
    vectors: dict[str, tuple[list[float], ...]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    flips_failed: dict[str, str] = field(default_factory=dict)

    @property
    def method(self):
        return SimpleNamespace(password_bits=4 if self.flips else 0)

    def samples(self):
        names = {*self.astray, *self.vectors, *self.failed}
        return [Sample(name, name.split("/")[0]) for name in sorted(names)]

    def crops(self, *sources):
        assert sources == ("recovered", "misrecovered")
        for name, amount in self.astray.items():
            yield Crops(name, (GREY, GREY + np.float32(amount)))
        for name, why in self.failed.items():
            yield Crops(name, failed=why)

    def wrong_bits(self):
        ids = tuple(reversed(self.flips))
        rows = np.array([self.flips[i] for i in ids])
        return WrongBits(ids, np.array([1, 2, 4]), rows, self.flips_failed)

    def embeddings(self, source, judge, seed=None):
        side = SOURCES.index(source)
        vectors = np.array([all_of[side] for all_of in self.vectors.values()], np.float32)
        found = np.array([source != "misrecovered" for _ in self.vectors])
        return Embeddings(tuple(self.vectors), vectors, found, self.failed)


def measure(world: World, judge: str = ""):
    """The reduction, and its metrics by name."""
    bench = protocol(SPEC)
    reduction = bench.reduce(bench.score(world, world, judge, None))
    return reduction, {metric.name: metric for metric in reduction.metrics}


def test_a_wrong_key_by_hand() -> None:
    reduction, found = measure(World({"a/1": 0.1, "a/2": 0, "b/1": -0.3, "b/2": 0.4}))
    assert found["wrong-key-mae"].value == pytest.approx(0.2)
    assert found["wrong-key-mae"].direction == "higher"
    same = found["wrong-key-same"]
    assert (same.value, same.unit, same.direction) == (25, "%", "lower")
    assert same.detail == {"identical images": 1}
    assert [interval.method.split(",")[0] for interval in same.intervals] == [
        "percentile bootstrap over identities",
        "Clopper-Pearson",
    ]
    # Of one in four: the interval for a share, known from tables.
    assert same.intervals[1].low == pytest.approx(0.631, abs=1e-3)
    assert same.intervals[1].high == pytest.approx(80.588, abs=1e-3)
    assert found["flip-1-mae"].value is None
    assert found["flip-1-mae"].reason == "does not say which bits its password has"
    assert reduction.counts.used == 4


def test_wrong_bits_by_hand() -> None:
    world = World({"a/1": 0.1, "b/1": 0.3}, {"a/1": (0, 0.1, 0.2), "b/1": (0.05, 0.3, 0.6)})
    _, found = measure(world)
    assert found["flip-1-mae"].value == pytest.approx(0.025)
    assert found["flip-1-mae"].std == pytest.approx(0.025)
    assert found["flip-1-mae"].detail == {
        "1 wrong bit": pytest.approx(0.025),
        "2 wrong bits": pytest.approx(0.2),
        "4 wrong bits": pytest.approx(0.4),
        "identical images with 1 wrong bit": 1,
    }


def test_scores_hold_the_whole_curve_of_each_image() -> None:
    flips = {"a/1": (0, 0.1, 0.2), "b/1": (0.05, 0.3, 0.6)}
    world = World({"a/1": 0.1, "b/1": 0.3}, flips, failed={"c/1": "boom"})
    scores = protocol(SPEC).score(world, world, "", None)
    assert scores["flip_counts"].tolist() == [1, 2, 4]
    rows = dict(zip(scores["image"].tolist(), scores["flips"].tolist(), strict=True))
    absolute = dict(zip(scores["image"].tolist(), scores["absolute"].tolist(), strict=True))
    for name, curve in flips.items():
        assert rows[name] == list(curve)
        assert absolute[name] == pytest.approx(world.astray[name])
    assert np.isnan(rows["c/1"]).all()


def test_recognisers_compare_with_the_original_and_wrong_with_wrong() -> None:
    vectors = {
        "a/1": ([1, 0], [2, 0], [0, 1], [0, 3]),
        "b/1": ([1, 0], [1, 1], [1, 0], [-1, 0]),
    }
    reduction, found = measure(World(vectors=vectors, failed={"c/1": "boom"}), JUDGE)
    assert set(found) == {"wrong-key-cosine", "wrong-keys-apart"}
    assert found["wrong-key-cosine"].value == pytest.approx(0.5)
    right = found["wrong-key-cosine"].detail["right key"]
    assert right == pytest.approx((1 + np.sqrt(0.5)) / 2)
    assert found["wrong-keys-apart"].value == pytest.approx(0)
    assert (reduction.counts.expected, reduction.counts.used) == (3, 2)
    assert reduction.counts.detail["misrecovered images without a face"] == 2
    assert reduction.counts.detail["recovered images without a face"] == 0


@pytest.mark.parametrize("where", ["failed", "flips_failed"])
def test_an_image_that_fails_anywhere_is_counted_once(where) -> None:
    astray = {"a/1": 0.1} if where == "failed" else {"a/1": 0.1, "b/1": 0.9}
    world = World(astray, {"a/1": (0.1, 0.2, 0.3)}, **{where: {"b/1": "boom"}})
    reduction, found = measure(world)
    assert reduction.counts.failed == {"boom": 1}
    assert all(metric.n == 1 for metric in found.values())
    assert found["wrong-key-mae"].value == pytest.approx(0.1)


def test_no_image_at_all_is_an_error_with_the_reason() -> None:
    with pytest.raises(BadData, match="boom: 1 images"):
        measure(World(failed={"a/1": "boom"}))


def test_images_are_needed_recovered_by_right_and_by_wrong_keys() -> None:
    world = World({"b/1": 0, "a/1": 0})
    needs = protocol(SPEC).needs(world, None)
    assert needs.reference == needs.recovered == needs.misrecovered == ("a/1", "b/1")
    assert (needs.published, needs.original, needs.bits) == ((), (), ())


def test_a_bad_setting_is_named() -> None:
    with pytest.raises(BadConfig, match="key-sensitivity:images"):
        protocol("key-sensitivity:images=some")
