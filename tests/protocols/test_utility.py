"""`utility` on traits made by hand."""

import json

import numpy as np
import pytest
from traits_world import Booth
from verification_world import protocol

from anonbench.errors import BadConfig, BadData
from anonbench.registry import protocols
from anonbench.results.published import published

SPEC = "utility:bootstrap=100:images=all"


def measure(booth: Booth, judge: str = "judge", spec: str = SPEC):
    """The counts, and the metrics by name."""
    bench = protocol(spec)
    reduction = bench.reduce(bench.score(booth, booth, judge, None))
    return reduction.counts, {metric.name: metric for metric in reduction.metrics}


def face(x: float = 0, y: float = 0) -> dict[str, np.ndarray]:
    """What a detector says of a face shifted by (x, y): a box and five points."""
    points = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], float)
    return {
        "box": np.array([20 + x, 20 + y, 80 + x, 100 + y]),
        "points": (points + np.array([x, y])).ravel(),
    }


def test_a_detector_by_hand() -> None:
    booth = Booth({"a/1": (face(), face(3, 4)), "b/1": (face(), face()), "c/1": (face(), None)})
    counts, found = measure(booth)
    assert set(found) == {"detection-rate", "box-distance", "landmark-distance"}
    rate = found["detection-rate"]
    assert (rate.value, rate.n, rate.direction) == (pytest.approx(2 / 3), 3, "higher")
    assert rate.detail["of the reference images"] == 1
    clopper = rate.intervals[1]
    assert "Clopper-Pearson" in clopper.method
    assert (clopper.low, clopper.high) == pytest.approx((0.0943, 0.9916), abs=1e-4)
    for name in ("box-distance", "landmark-distance"):
        assert found[name].value == pytest.approx(2.5)
        assert (found[name].std, found[name].n) == (pytest.approx(2.5), 2)
        assert found[name].unit == "px at 256 px"
        assert found[name].detail == {
            "images": 3,
            "left out": 1,
            "no face in the reference": 0,
            "no face in the published": 1,
        }
    assert counts.detail == {
        "people": 3,
        "reference images without a face": 0,
        "published images without a face": 1,
    }


def test_pixels_are_those_of_a_crop_of_256() -> None:
    _, found = measure(Booth({"a/1": (face(), face(3, 4))}, side=128))
    assert found["landmark-distance"].value == pytest.approx(10)
    assert found["box-distance"].value == pytest.approx(10)


@pytest.mark.parametrize(
    ("norm", "landmarks", "box", "unit"),
    [
        ("mean_l2", 5, 5, "px at 256 px"),
        ("l1_mean", 3.5, 3.5, "px at 256 px"),
        ("stacked_l2", 5 * np.sqrt(5), 5 * np.sqrt(2), "px at 256 px"),
        ("nme", 5 / 40, 5, "of the inter-ocular distance"),
    ],
)
def test_the_norm_of_landmarks_is_a_setting(norm, landmarks, box, unit) -> None:
    booth = Booth({"a/1": (face(), face(3, -4))})
    _, found = measure(booth, spec=f"{SPEC}:points={norm}")
    assert found["landmark-distance"].value == pytest.approx(landmarks)
    assert found["box-distance"].value == pytest.approx(box)
    assert (found["landmark-distance"].unit, found["box-distance"].unit) == (unit, "px at 256 px")


def test_landmarks_without_known_eyes_have_no_nme() -> None:
    booth = Booth({"a/1": ({"points": np.zeros(14)}, {"points": np.ones(14)})})
    assert measure(booth)[1]["landmark-distance"].value == pytest.approx(np.sqrt(2))
    with pytest.raises(BadConfig, match="7 landmarks"):
        measure(booth, spec=f"{SPEC}:points=nme")


def test_codes_as_l2_squared_l2_and_mean_absolute_error() -> None:
    zero = {"shape": np.zeros(4), "expression": np.zeros(2)}
    other = {"shape": np.array([1.0, -1, 1, 1]), "expression": np.array([3.0, -4])}
    counts, found = measure(Booth({"a/1": (zero, other), "b/1": (zero, zero)}))
    values = {name: metric.value for name, metric in found.items()}
    assert values == {
        "shape-l2": 1,
        "shape-l2-squared": 2,
        "shape-mae": 0.5,
        "expression-l2": 2.5,
        "expression-l2-squared": 12.5,
        "expression-mae": 1.75,
    }
    assert counts.used == 2


def test_angles_are_compared_the_short_way_round() -> None:
    first, second = np.array([179.0, 0, -179]), np.array([-179.0, 1, 179])
    _, found = measure(Booth({"a/1": ({"pose": first}, {"pose": second})}))
    assert "detection-rate" not in found
    assert found["pose-l2"].value == pytest.approx(3)
    assert found["pose-l2-squared"].value == pytest.approx(9)
    assert found["pose-mae"].value == pytest.approx(5 / 3)
    assert (found["pose-l2"].unit, found["pose-l2-squared"].unit) == ("degrees", "squared degrees")


def test_a_mesh_is_compared_without_position_size_and_rotation() -> None:
    mesh = np.random.default_rng(0).normal(size=(20, 3))
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    alike, bent = 3 * mesh @ turn + [5, 6, 7], mesh + [1.0, 0, 0] * (mesh[:, :1] > 0)
    told = {
        "a/1": ({"mesh": mesh.ravel()}, {"mesh": alike.ravel()}),
        "b/1": ({"mesh": mesh.ravel()}, {"mesh": mesh.ravel()}),
    }
    _, found = measure(Booth(told))
    assert found["shape-l2"].value == pytest.approx(0, abs=1e-12)
    _, found = measure(Booth({"a/1": ({"mesh": mesh.ravel()}, {"mesh": bent.ravel()})}))
    assert found["shape-l2"].value == pytest.approx(0.3, abs=0.2)
    assert found["shape-l2-squared"].value == pytest.approx(found["shape-l2"].value ** 2)


def random_traits(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        **face(*rng.normal(size=2)),
        "mesh": rng.normal(size=30).astype(np.float32),
        "expression": rng.random(52, np.float32),
        "pose": rng.uniform(-90, 90, 3),
        "features": (100 * rng.normal(size=16)).astype(np.float32),
    }


def test_a_method_that_changes_nothing_is_at_the_extremes_exactly() -> None:
    rng = np.random.default_rng(0)
    seen = {f"p{index}/1": random_traits(rng) for index in range(30)}
    told = {name: (traits, traits) for name, traits in seen.items()} | {"q/1": (None, None)}
    _, found = measure(Booth(told), "inception-fid")
    rate = found.pop("detection-rate")
    assert rate.value == rate.detail["of the reference images"] == 30 / 31
    assert {"box-distance", "landmark-distance", "shape-l2", "pose-mae", "fid"} <= set(found)
    assert {name: metric.value for name, metric in found.items()} == dict.fromkeys(found, 0)


def test_broken_images_are_left_out_and_counted() -> None:
    booth = Booth({"a/1": (face(), face(3, 4))}, {"b/1": "truncated", "c/1": "truncated"})
    counts, found = measure(booth)
    assert (counts.expected, counts.used, counts.failed) == (3, 1, {"truncated": 2})
    assert (found["detection-rate"].value, found["detection-rate"].n) == (1, 1)
    with pytest.raises(BadData, match="truncated: 1 images"):
        measure(Booth({}, {"a/1": "truncated"}))
    with pytest.raises(BadData, match="No image could be measured"):
        measure(Booth({}))


def test_without_any_face_the_rate_is_zero_and_the_distances_say_why() -> None:
    _, found = measure(Booth({"a/1": (face(), None), "b/1": (None, face())}))
    assert found["detection-rate"].value == 0.5
    assert found["box-distance"].value is None
    assert found["box-distance"].reason == "no image shows a face both before and after"
    assert found["box-distance"].detail["left out"] == 2
    blind = Booth({"a/1": (None, None)}, traits_of_nobody={"box": 4, "points": 10})
    counts, found = measure(blind)
    assert found["detection-rate"].value == 0
    assert found["landmark-distance"].value is None
    assert counts.detail["published images without a face"] == 1


# ------------------------------------------------------------------------------------- features
def crowd(n: int, dim: int, shift: float, seed: int = 0) -> Booth:
    """Features of n images, those published shifted and noisier."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(n, dim))
    after = before * 1.5 + shift
    pairs = zip(before, after, strict=True)
    return Booth(
        {f"p{i:05}/1": ({"features": a}, {"features": b}) for i, (a, b) in enumerate(pairs)}
    )


def test_the_frechet_distance_of_scaled_and_shifted_features() -> None:
    """Of y = 1.5 x + 2 it is |m1 - m2|² + 0.25 tr C, as the roots of C and 2.25 C commute."""
    booth = crowd(400, 3, 2.0)
    features = np.stack([both[0]["features"] for both in booth.told.values()])
    mean, covariance = features.mean(axis=0), np.cov(features.T)
    expected = np.square(0.5 * mean + 2).sum() + 0.25 * np.trace(covariance)
    counts, found = measure(booth, "inception-fid")
    assert set(found) == {"fid", "kid"}
    assert found["fid"].value == pytest.approx(expected, rel=1e-9)
    assert (found["fid"].n, found["fid"].direction) == (400, "lower")
    assert found["fid"].intervals == ()
    assert any("interval" in name for name in found["fid"].detail)
    assert counts.detail == {"people": 400}


@pytest.mark.parametrize(
    ("judge", "names"), [("vgg16", {"fd-vgg16", "kd-vgg16"}), ("another", {"fd", "kd"})]
)
def test_only_inception_gives_fid(judge, names) -> None:
    assert set(measure(crowd(10, 3, 1.0), judge)[1]) == names


def test_too_few_images_for_a_frechet_distance_name_the_setting() -> None:
    booth = crowd(5, 6, 1.0)
    _, found = measure(booth, "inception-fid")
    assert found["fid"].value is None
    assert "5 images for 6 features" in found["fid"].reason
    assert "utility:small_sample=true" in found["fid"].reason
    assert found["kid"].value is not None
    _, forced = measure(booth, "inception-fid", f"{SPEC}:small_sample=true")
    assert forced["fid"].value > 0
    assert forced["kid"] == found["kid"]
    assert measure(crowd(6, 6, 1.0), "inception-fid")[1]["fid"].value > 0


@pytest.mark.parametrize("n", [0, 1])
def test_a_single_image_has_neither(n) -> None:
    booth = crowd(n, 3, 1.0)
    booth.told = booth.told | {"q/1": (None, None)}
    booth.traits_of_nobody = {"features": 3}
    _, found = measure(booth, "vgg16", f"{SPEC}:small_sample=true")
    assert {metric.reason for metric in found.values()} == {"it takes two images"}


def test_the_kernel_distance_takes_a_seeded_sample_and_tells_its_spread() -> None:
    booth = crowd(1050, 3, 0.5)
    kid = measure(booth, "inception-fid")[1]["kid"]
    assert kid.n == 1050
    assert kid.detail["subsets"] == 100
    assert kid.detail["images in each"] == 1000
    assert kid.std_of == "100 overlapping subsets of 1000 images"
    (interval,) = kid.intervals
    assert interval.low < kid.value < interval.high
    assert "subsets" in interval.method
    assert measure(booth, "inception-fid")[1]["kid"] == kid
    fewer = measure(booth, "inception-fid", f"{SPEC}:kernel_images=200")[1]["kid"]
    assert (fewer.n, fewer.std, fewer.intervals) == (200, None, ())
    assert fewer.value == pytest.approx(kid.value, rel=0.5)
    other = measure(booth, "inception-fid", f"{SPEC}:kernel_images=200:bootstrap_seed=1")
    assert other[1]["kid"].value != fewer.value


# ------------------------------------------------------------------------------------- settings
def test_needs_references_and_published_images() -> None:
    needs = protocol(SPEC).needs(crowd(3, 2, 0), 2)
    assert needs.reference == needs.published == ("p00000/1", "p00001/1")
    assert (needs.original, needs.recovered, needs.seeds) == ((), (), 1)


@pytest.mark.parametrize(
    "setting", ["images=some", "points=l3", "kernel_images=1", "bootstrap=3", "small_sample=maybe"]
)
def test_a_bad_setting_is_named(setting) -> None:
    with pytest.raises(BadConfig, match=f"utility:{setting.split('=')[0]}"):
        protocol(f"utility:{setting}")


def test_reductions_can_be_stored() -> None:
    booth = Booth({"a/1": (face(), face(3, 4)), "b/1": (None, face())})
    bench = protocol(SPEC)
    for world in (booth, crowd(5, 6, 1.0)):
        reduction = bench.reduce(bench.score(world, world, "vgg16", None))
        assert json.loads(reduction.model_dump_json())["metrics"]


def test_the_card_names_the_table_and_the_metrics_of_the_paper() -> None:
    card = protocols.card("utility")
    printed = [value for value in published() if value.protocol == card.name]
    assert {value.table for value in printed} == set(card.published)
    assert {value.metric for value in printed} <= {spec.name for spec in card.metrics}
    assert {value.judge for value in printed} == set(card.suites["paper"].judges)
