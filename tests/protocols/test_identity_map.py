"""`identity-map` on embeddings with known distances."""

import numpy as np
import pytest
from people_world import People, axis_of
from verification_world import protocol

from anonbench.errors import BadConfig, BadData

SPEC = "identity-map:people=4:images=3:bootstrap=200"


def four_people(make, **fields) -> People:
    return People({f"p{n}": 3 for n in range(4)}, make, **fields)


def measure(world: People, spec: str = SPEC, limit=None):
    bench = protocol(spec)
    scores = bench.score(world, world, "judge", limit)
    reduction = bench.reduce(scores)
    return reduction, {metric.name: metric for metric in reduction.metrics}, scores


def moved(source, image, seed):
    """Published at a right angle, recovered at 60 degrees from the original."""
    away = np.eye(8)[4 + int(image[1])]
    original = np.concatenate([axis_of(image), np.zeros(4)])
    recovered = original / 2 + away * np.sqrt(3) / 2
    return {"reference": original, "published": away, "recovered": recovered}[source]


def test_known_angles() -> None:
    reduction, found, _ = measure(four_people(moved))
    assert found["displacement"].value == pytest.approx(1)
    assert found["return-distance"].value == pytest.approx(0.5)
    assert found["displacement"].n == 4
    assert found["displacement"].intervals[0].low == pytest.approx(1)
    assert found["separation"].value == pytest.approx(1)
    assert found["separation"].n == 12
    assert (reduction.counts.expected, reduction.counts.used) == (12, 12)
    assert reduction.counts.detail["people"] == 4


def test_where_nothing_changes_nobody_moves() -> None:
    _, found, scores = measure(four_people(lambda source, image, seed: axis_of(image)))
    assert found["displacement"].value == found["return-distance"].value == 0
    assert found["separation"].value == found["separation"].detail["of originals"] == 1
    assert np.allclose(scores["pca3"][:, 0], scores["pca3"][:, 1])


def test_people_who_are_published_all_alike_are_not_separate() -> None:
    def alike(source, image, seed):
        return np.ones(4) if source == "published" else axis_of(image)

    _, found, _ = measure(four_people(alike))
    assert found["separation"].value == pytest.approx(0, abs=1e-6)
    assert found["separation"].detail == {"of originals": 1, "of recovered images": 1}
    assert found["displacement"].value == pytest.approx(0.5)


def test_distances_are_a_mean_over_people_with_an_interval_over_them() -> None:
    def one_moves(source, image, seed):
        stays = source == "reference" or not image.startswith("p0")
        return axis_of(image) * (1 if stays else -1)

    _, found, _ = measure(four_people(one_moves))
    displacement = found["displacement"]
    assert displacement.value == pytest.approx(2 / 4)
    assert displacement.std == pytest.approx(np.std([2, 0, 0, 0]))
    assert displacement.intervals[0].low == pytest.approx(0)
    assert displacement.intervals[0].high > 1
    assert "identities" in displacement.intervals[0].method


def test_a_method_that_cannot_recover_has_no_way_back() -> None:
    _, found, scores = measure(four_people(moved, reversible=False))
    assert (found["return-distance"].value, found["return-distance"].reason) == (
        None,
        "not reversible",
    )
    assert list(scores["source"]) == ["reference", "published"]
    assert found["displacement"].value == pytest.approx(1)


def test_maps_of_all_sources_stand_in_the_scores_and_come_out_the_same_again() -> None:
    def noisy(source, image, seed):
        return np.random.default_rng([ord(c) for c in source + image]).normal(size=6)

    _, _, scores = measure(four_people(noisy))
    assert list(scores["source"]) == ["reference", "published", "recovered"]
    assert scores["vectors"].shape == (12, 3, 6)
    at = list(scores["image"]).index("p2/1")
    assert np.allclose(scores["vectors"][at, 2], noisy("recovered", "p2/1", 0))
    for name, dims in (("tsne2", 2), ("tsne3", 3), ("pca2", 2), ("pca3", 3)):
        assert scores[name].shape == (12, 3, dims)
        assert np.isfinite(scores[name]).all()
    again = measure(four_people(noisy))[2]
    assert np.array_equal(again["tsne3"], scores["tsne3"])
    assert float(scores["perplexity"]) == pytest.approx(35 / 3)


def test_failed_images_are_in_no_source_and_are_counted() -> None:
    world = four_people(
        moved, failed={("published", "p0/0"): "boom", ("recovered", "p1/1"): "bang"}
    )
    world.unseen = {("published", "p3/0")}
    reduction, found, scores = measure(world)
    assert reduction.counts.failed == {"published: boom": 1, "recovered: bang": 1}
    assert reduction.counts.detail["published images without a face"] == 1
    assert found["separation"].n == 10
    assert np.isnan(scores["tsne2"][-2:]).all()
    assert list(scores["image"][-2:]) == ["p0/0", "p1/1"]


def test_too_few_images_left_for_clusters_is_told() -> None:
    failed = {("published", f"p{who}/{n}"): "boom" for who in range(4) for n in range(1, 3)}
    _, found, _ = measure(four_people(moved, failed=failed))
    assert found["separation"].reason == "no two people with several images are left"
    assert found["displacement"].n == 4


def test_people_and_images_of_the_map_are_drawn_by_the_seed() -> None:
    world = People({f"p{n}": 9 for n in range(12)}, moved)
    drawn = [protocol(f"{SPEC}:seed={seed}").needs(world, None).published for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 12


def test_people_without_a_second_image_are_passed_over() -> None:
    world = People({"lone": 1, "pair": 2, "many": 9}, moved)
    needs = protocol(f"{SPEC}:people=2").needs(world, None)
    people = [image.split("/")[0] for image in needs.published]
    assert (people.count("pair"), people.count("many"), people.count("lone")) == (2, 3, 0)
    assert needs.reference == needs.published == needs.recovered
    with pytest.raises(BadData, match="has 2 of them") as caught:
        protocol(SPEC).needs(world, None)
    assert caught.match("identity-map:people=2")


def test_a_dataset_with_one_image_of_everybody_is_refused() -> None:
    world = People({f"p{n}": 1 for n in range(30)}, moved)
    with pytest.raises(BadData, match="at most 1 each") as caught:
        protocol("identity-map").needs(world, None)
    assert caught.match("Use a dataset with several images")


@pytest.mark.parametrize("setting", ["people=1", "images=1", "perplexity=-1", "seed=-1"])
def test_a_bad_setting_of_the_map_is_named(setting) -> None:
    with pytest.raises(BadConfig, match=f"identity-map:{setting.split('=')[0]}"):
        protocol(f"identity-map:{setting}")
