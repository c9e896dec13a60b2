import numpy as np
import pytest
from recovery_world import Gallery
from verification_world import protocol

from anonbench.errors import BadConfig, BadData
from anonbench.registry import protocols
from anonbench.values import Pair

SPEC = "recovery:bootstrap=100"
PERCEPTUAL, RECOGNISER = "lpips-alex", "fr-feature"
GREY = np.full((16, 16, 3), 0.5, np.float32)


def off_by(amount: float) -> np.ndarray:
    return GREY + np.float32(amount)


def measure(gallery: Gallery, judge: str = "", spec: str = SPEC):
    """The reduction, and its metrics by name."""
    bench = protocol(spec)
    reduction = bench.reduce(bench.score(gallery, gallery, judge, None))
    return reduction, {metric.name: metric for metric in reduction.metrics}


def test_pixels_by_hand() -> None:
    reduction, found = measure(Gallery({"a/1": (GREY, off_by(0.1)), "b/1": (GREY, off_by(-0.2))}))
    assert found["mae"].value == pytest.approx(0.15)
    assert found["mae"].std == pytest.approx(0.05)
    assert found["mae"].detail == {"of images in [-1, 1]": pytest.approx(0.3)}
    decibel = [-10 * np.log10(0.01), -10 * np.log10(0.04)]
    assert found["psnr"].value == pytest.approx(np.mean(decibel), rel=1e-5)
    of_mean = found["psnr"].detail["of the mean squared error"]
    assert of_mean == pytest.approx(-10 * np.log10(0.025), rel=1e-5)
    assert 0 < found["ssim"].value < 1
    assert (reduction.counts.unit, reduction.counts.used, reduction.counts.expected) == (
        "images",
        2,
        2,
    )
    assert "lpips" not in found


def test_an_image_recovered_exactly_has_no_finite_psnr() -> None:
    _, found = measure(Gallery({"a/1": (GREY, GREY), "b/1": (GREY, off_by(0.1))}))
    assert found["psnr"].value is None
    assert "1 of 2 images are recovered exactly" in found["psnr"].reason
    assert found["psnr"].detail["of the mean squared error"] == pytest.approx(23.01, abs=0.01)
    assert found["ssim"].value > 0.9
    _, all_exact = measure(Gallery({"a/1": (GREY, GREY)}))
    assert all_exact["psnr"].detail == {}
    assert (all_exact["mae"].value, all_exact["ssim"].value) == (0, 1)


def test_the_window_of_ssim_is_a_setting() -> None:
    noisy = GREY + np.random.default_rng(0).normal(0, 0.1, GREY.shape).astype(np.float32)
    gallery = Gallery({"a/1": (GREY, noisy)})
    _, gaussian = measure(gallery)
    _, uniform = measure(gallery, spec=f"{SPEC}:ssim=uniform")
    assert gaussian["ssim"].value != uniform["ssim"].value
    assert gaussian["mae"] == uniform["mae"]


def test_a_judges_distance_is_lpips() -> None:
    reduction, found = measure(Gallery(told={"a/1": 0.1, "b/1": 0.3}), PERCEPTUAL)
    assert set(found) == {"lpips"}
    assert found["lpips"].value == pytest.approx(0.2)
    assert found["lpips"].std_of == "images, population"
    assert reduction.counts.used == 2


def test_a_recognisers_cosine_is_between_reference_and_recovered() -> None:
    vectors = {"a/1": ([1, 0], [3, 0]), "b/1": ([2, 0], [1, 1]), "c/1": ([1, 0], [0, 0])}
    gallery = Gallery(vectors=vectors, failed={"d/1": "boom"})
    reduction, found = measure(gallery, RECOGNISER, f"{SPEC}:images=all")
    assert set(found) == {"cosine-recovered"}
    assert found["cosine-recovered"].value == pytest.approx((1 + np.sqrt(0.5)) / 2)
    assert (reduction.counts.expected, reduction.counts.used) == (4, 2)
    assert reduction.counts.detail["reference images without a face"] == 1
    assert reduction.counts.detail["recovered images without a face"] == 0
    assert "boom" in " ".join(reduction.counts.failed)


@pytest.mark.parametrize("judge", ["", PERCEPTUAL, RECOGNISER])
def test_a_result_says_that_a_latent_was_stored(judge) -> None:
    images = {"a/1": (GREY, off_by(0.1))}, {"a/1": 0.1}
    for stored in (False, True):
        gallery = Gallery(*images, vectors={"a/1": ([1, 0], [1, 1])}, needs_latent=stored)
        reduction, _ = measure(gallery, judge, f"{SPEC}:images=all")
        told = reduction.counts.detail.get("images recovered from a stored latent", 0)
        assert told == (reduction.counts.used if stored else 0)
        size = reduction.counts.detail.get("bytes of latent kept per image", 0)
        assert size == (100 if stored else 0)


@pytest.mark.parametrize("judge", ["", PERCEPTUAL])
def test_failed_images_are_left_out_and_counted(judge) -> None:
    gallery = Gallery({"a/1": (GREY, off_by(0.1))}, {"a/1": 0.1}, {"b/1": "boom", "c/1": "boom"})
    reduction, found = measure(gallery, judge)
    assert all(metric.n == 1 for metric in found.values())
    assert (reduction.counts.expected, reduction.counts.used) == (3, 1)
    assert reduction.counts.failed == {"boom": 2}
    assert reduction.counts.detail["people"] == 1


@pytest.mark.parametrize("judge", ["", PERCEPTUAL])
def test_no_image_at_all_is_an_error_with_the_reason(judge) -> None:
    with pytest.raises(BadData, match="boom: 1 images"):
        measure(Gallery(failed={"a/1": "boom"}), judge)


def test_the_interval_resamples_people_not_images() -> None:
    """All images of a person are alike, so four images of each tell no more than one."""
    rng = np.random.default_rng(0)
    people = {f"p{index}": value for index, value in enumerate(rng.random(12))}
    once, often = (
        Gallery(told={f"{who}/{n}": v for who, v in people.items() for n in range(images)})
        for images in (1, 4)
    )
    (one,), (four,) = (measure(gallery, PERCEPTUAL)[0].metrics for gallery in (once, often))
    assert (one.n, four.n) == (12, 48)
    low, high = one.intervals[0].low, one.intervals[0].high
    assert low < one.value < high
    assert four.intervals[0].low == pytest.approx(low)
    assert four.intervals[0].high == pytest.approx(high)
    assert "identities" in four.intervals[0].method


def test_probes_are_the_second_images_of_genuine_pairs_each_once() -> None:
    pairs = (
        Pair(0, "b/1", "b/2", True),
        Pair(0, "b/3", "b/2", True),
        Pair(0, "b/1", "a/4", False),
        Pair(1, "a/1", "a/2", True),
    )
    gallery = Gallery(all_pairs=pairs)
    assert protocol(SPEC).needs(gallery, None).recovered == ("a/2", "b/2")
    assert protocol(SPEC).needs(gallery, 1).recovered == ("b/2",)
    every = protocol(f"{SPEC}:images=all").needs(gallery, None).recovered
    assert every == ("a/1", "a/2", "a/4", "b/1", "b/2", "b/3")
    assert protocol(f"{SPEC}:images=all").needs(gallery, 2).recovered == ("a/1", "a/2")


def test_lfw_probes_are_those_of_lfw_tar(shared) -> None:
    from anonbench.data import open_dataset

    dataset = open_dataset("lfw", shared / "data")
    needs = protocol("recovery").needs(dataset, None)
    assert needs.recovered == protocol("lfw-tar").needs(dataset, None).published
    assert needs.recovered == protocol("password").needs(dataset, None).bits
    assert len(needs.recovered) == 2556


@pytest.mark.parametrize("setting", ["images=some", "ssim=box", "bootstrap=3"])
def test_a_bad_setting_is_named(setting) -> None:
    with pytest.raises(BadConfig, match=f"recovery:{setting.split('=')[0]}"):
        protocol(f"recovery:{setting}")


def test_cards_name_the_tables_and_the_metrics_of_the_papers() -> None:
    from anonbench.results.published import published

    for name in ("recovery", "password"):
        card = protocols.card(name)
        printed = {value.metric for value in published() if value.protocol == name}
        assert printed <= {spec.name for spec in card.metrics}
        tables = {value.table for value in published() if value.protocol == name}
        assert tables == set(card.published)
