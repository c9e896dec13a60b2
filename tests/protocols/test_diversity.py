"""`diversity` on embeddings with known cosines."""

import numpy as np
import pytest
from people_world import People, axis_of
from verification_world import protocol

from anonbench.errors import BadConfig, BadData
from anonbench.metrics.bootstrap import multiplicities
from anonbench.registry import protocols

SPEC = "diversity:faces=3:identities=4:bootstrap=200"


def people(make, seeds=4, **fields) -> People:
    return People({f"p{n}": 2 for n in range(3)}, make, seeds=tuple(range(7, 7 + seeds)), **fields)


def same_for_every_seed(source, image, seed):
    return axis_of(image)


def another_for_every_seed(source, image, seed):
    """The published identity depends on the seed alone; the originals are elsewhere."""
    return np.eye(8)[seed - 7] if source == "published" else np.eye(8)[7]


def all_different(source, image, seed):
    return np.eye(16)[4 * int(image[1]) + seed - 7] if source == "published" else np.eye(16)[15]


def measure(world: People, spec: str = SPEC, limit=None):
    bench = protocol(spec)
    scores = bench.score(world, world, "judge", limit)
    reduction = bench.reduce(scores)
    return reduction, {metric.name: metric for metric in reduction.metrics}, scores


@pytest.mark.parametrize(
    ("make", "within", "between", "rank", "of_one", "original"),
    [
        (same_for_every_seed, 1, 0, 2, 0, 1),
        (another_for_every_seed, 0, 0.25, 3, 3, 0),
        (all_different, 0, 0, 11, 3, 0),
    ],
)
def test_known_clouds(make, within, between, rank, of_one, original) -> None:
    reduction, found, _ = measure(people(make))
    assert found["within"].value == pytest.approx(within)
    assert found["between"].value == pytest.approx(between)
    assert found["effective-rank"].value == pytest.approx(rank)
    assert found["effective-rank"].detail["mean of one face"] == pytest.approx(of_one, abs=1e-9)
    assert found["effective-rank"].detail["highest possible"] == min(
        11, len(make("published", "p0/0", 7))
    )
    assert found["within"].detail == {"cosine with the original": pytest.approx(original)}
    assert (found["within"].n, found["between"].n, found["effective-rank"].n) == (3, 3, 12)
    assert (reduction.counts.expected, reduction.counts.used) == (12, 12)


def test_scores_hold_every_embedding_and_the_map_the_same_again() -> None:
    def noisy(source, image, seed):
        return np.random.default_rng([ord(image[1]), seed]).normal(size=6)

    _, _, scores = measure(people(noisy))
    assert list(scores["image"]) == ["p0/0", "p1/0", "p2/0"]
    assert list(scores["seed"]) == [7, 8, 9, 10]
    assert scores["vectors"].shape == (3, 4, 6)
    assert scores["vectors"].dtype == np.float32
    assert np.allclose(scores["vectors"][2, 1], noisy("published", "p2/0", 8))
    assert np.allclose(scores["original"][1], noisy("reference", "p1/0", 7))
    assert scores["map"].shape == (3, 4, 2)
    assert np.isfinite(scores["map"]).all()
    assert float(scores["perplexity"]) == pytest.approx(11 / 3)
    again = measure(people(noisy))[2]["map"]
    assert np.array_equal(again, scores["map"])


def test_a_method_that_draws_nothing_has_no_diversity() -> None:
    reduction, found, scores = measure(people(same_for_every_seed, seeds=1))
    assert set(found) == {spec.name for spec in protocols.card("diversity").metrics}
    assert {metric.reason for metric in found.values()} == {"draws nothing at random"}
    assert all(metric.value is None for metric in found.values())
    assert reduction.counts.used == 3
    assert scores["vectors"].shape == (3, 1, 4)


def test_the_interval_resamples_faces_and_says_so() -> None:
    def one_varies(source, image, seed):
        varies = source == "published" and image.startswith("p0")
        return np.eye(16)[3 + seed - 7] if varies else np.eye(16)[int(image[1])]

    _, found, _ = measure(people(one_varies))
    within = found["within"]
    assert within.value == pytest.approx(2 / 3)
    assert within.std == pytest.approx(np.std([0, 1, 1]))
    assert (within.intervals[0].low, within.intervals[0].high) == pytest.approx((0, 1))
    assert "over the 3 faces" in within.intervals[0].method
    assert found["effective-rank"].intervals == ()


def test_between_and_its_interval_are_those_of_every_pair_of_images() -> None:
    """A face drawn twice gives two faces; they make no pair with each other."""

    def anywhere(source, image, seed):
        return np.random.default_rng([int(image[1]), seed]).normal(0.2, 1, 6)

    _, found, scores = measure(people(anywhere))
    unit = scores["vectors"] / np.linalg.norm(scores["vectors"], axis=2, keepdims=True)
    across = {(a, b): (unit[a] @ unit[b].T).mean() for a in range(3) for b in range(a)}
    assert found["between"].value == pytest.approx(np.mean(list(across.values())))
    assert found["between"].std == pytest.approx(np.std(list(across.values())))
    replicates = []
    for times in multiplicities(np.zeros(3, int), 200, 0):
        weights = [times[a] * times[b] for a, b in across]
        if any(weights):
            replicates.append(np.average(list(across.values()), weights=weights))
    (interval,) = found["between"].intervals
    assert (interval.low, interval.high) == pytest.approx(np.percentile(replicates, [2.5, 97.5]))


def test_failed_images_are_left_out_and_counted() -> None:
    failed = {("published", "p0/0"): "boom"}
    reduction, found, scores = measure(people(all_different, failed=failed))
    assert reduction.counts.failed == {"boom": 4}
    assert (found["within"].n, found["effective-rank"].n) == (2, 8)
    assert np.isnan(scores["vectors"][0]).all()
    assert np.isnan(scores["map"][0]).all()
    assert np.isfinite(scores["map"][1:]).all()


def test_an_embedding_without_a_direction_fails_alone() -> None:
    def zero_once(source, image, seed):
        return all_different(source, image, seed) * (image != "p1/0" or seed != 8)

    reduction, found, _ = measure(people(zero_once))
    assert reduction.counts.failed == {"unusable embedding": 1}
    assert (found["within"].n, found["effective-rank"].n) == (3, 11)


def test_nothing_measured_at_all_is_an_error_with_the_reason() -> None:
    failed = {("published", f"p{n}/0"): "boom" for n in range(3)}
    with pytest.raises(BadData, match="boom: 12 images"):
        measure(people(all_different, failed=failed))


def test_faces_are_the_first_image_of_the_first_people() -> None:
    world = people(all_different)
    needs = protocol(SPEC).needs(world, None)
    assert needs.reference == needs.published == ("p0/0", "p1/0", "p2/0")
    assert (needs.recovered, needs.seeds) == ((), 4)
    assert protocol(SPEC).needs(world, 2).published == ("p0/0", "p1/0")
    with pytest.raises(BadData, match="people has 3") as caught:
        protocol("diversity").needs(world, None)
    assert caught.match("diversity:faces=3")


def test_a_single_face_has_nobody_to_compare_with() -> None:
    _, found, _ = measure(people(all_different), limit=1)
    assert found["between"].reason == "there is only one face"
    assert found["within"].value == pytest.approx(0)
    assert found["within"].intervals == ()


@pytest.mark.parametrize("setting", ["faces=0", "identities=1", "perplexity=0"])
def test_a_bad_setting_of_diversity_is_named(setting) -> None:
    with pytest.raises(BadConfig, match=f"diversity:{setting.split('=')[0]}"):
        protocol(f"diversity:{setting}")
