import numpy as np
import pytest
from verification_world import protocol, random_world

from anonbench.errors import BadConfig, UnreachableFar
from anonbench.metrics.verification import GRID, squared_distances

FAR = 0.01
SPEC = f"lfw-tar-allpairs:far={FAR}:bootstrap=100"


def clean_impostor_distances(world, without=()):
    """Every pair of different people among the clean images, one by one."""
    ids = [sample.id for sample in world.samples() if sample.id not in without]
    pairs = [
        (a, b)
        for i, a in enumerate(ids)
        for b in ids[i + 1 :]
        if a.split("/")[0] != b.split("/")[0]
    ]
    first, second = (
        np.array([world.vectors["original", pair[side]] for pair in pairs]) for side in (0, 1)
    )
    return squared_distances(first, second)


def by_name(reduction):
    return {metric.name: metric for metric in reduction.metrics}


def test_threshold_far_and_tar_are_those_of_all_clean_impostors():
    world, bench = random_world(), protocol(SPEC)
    impostors = clean_impostor_distances(world)
    fars = np.array([(impostors < threshold).mean() for threshold in GRID])
    threshold = GRID[fars <= FAR].max()
    scores = bench.score(world, world, "judge", None)
    reduction = bench.reduce(scores)
    tar, far = by_name(reduction)["tar"], by_name(reduction)["far"]
    accepted = scores["distance"] < threshold
    assert tar.detail["threshold"] == threshold
    assert far.value == tar.detail["far"] == fars[fars <= FAR].max()
    assert 0 < tar.value < 1
    assert (tar.value, tar.n) == (accepted.mean(), 60)
    assert tar.std == pytest.approx(accepted.reshape(10, 6).mean(axis=1).std())
    assert far.n == reduction.counts.detail["impostor"] == len(impostors)
    assert "threshold taken as given" in tar.intervals[0].method
    assert all(i.low <= tar.value <= i.high for i in tar.intervals)


def test_every_image_is_needed_clean():
    world = random_world()
    needs = protocol(SPEC).needs(world, None)
    assert set(needs.original) == {sample.id for sample in world.samples()}
    assert set(needs.published) == {pair.b for pair in world.pairs() if pair.same}


def test_a_failed_image_is_in_no_impostor_pair():
    world, bench = random_world(), protocol(SPEC)
    world.failed["original", "p3_0/0"] = "truncated"
    full = len(clean_impostor_distances(world))
    kept = len(clean_impostor_distances(world, without=("p3_0/0",)))
    scores = bench.score(world, world, "judge", None)
    counts = bench.reduce(scores).counts
    in_pairs = sum("p3_0/0" in (p.a, p.b) for p in world.pairs() if p.same)
    assert scores["impostor_counts"].sum() == kept < full
    assert counts.detail["images failed"] == 1
    assert counts.failed == {"truncated": in_pairs, "impostor image failed": full - kept}
    assert counts.expected == counts.used + in_pairs + full - kept


def test_reject_applies_to_published_probes():
    world = random_world()
    world.unfound |= {("published", "p0_0/1"), ("original", "p0_1/0")}
    scores = protocol(SPEC).score(world, world, "judge", None)
    fallback = by_name(protocol(SPEC).reduce(scores))["tar"]
    reject = by_name(protocol(f"{SPEC}:undetected=reject").reduce(scores))["tar"]
    assert scores["distance"][0] < fallback.detail["threshold"]
    assert reject.detail["accepted"] == fallback.detail["accepted"] - 1


def test_scores_can_be_stored_without_pickle(tmp_path):
    world, bench = random_world(), protocol(SPEC)
    scores = bench.score(world, world, "judge", None)
    np.savez(tmp_path / "scores.npz", **scores)
    loaded = dict(np.load(tmp_path / "scores.npz", allow_pickle=False))
    assert bench.reduce(loaded) == bench.reduce(scores)


def test_too_small_a_limit_names_the_smallest_sufficient_one():
    world, bench = random_world(), protocol("lfw-tar-allpairs:far=0.001")
    with pytest.raises(UnreachableFar, match=r"--limit (\d+) or more") as error:
        bench.needs(world, 3)
    smallest = int(error.value.mend.split("--limit ")[1].split()[0])
    bench.needs(world, smallest)
    with pytest.raises(UnreachableFar):
        bench.needs(world, smallest - 1)


def test_lfw_has_29_6_million_impostor_pairs(shared):
    from anonbench.data import open_dataset

    dataset = open_dataset("lfw", shared / "data")
    with pytest.raises(UnreachableFar, match="29640749 impostor pairs"):
        protocol("lfw-tar-allpairs:far=1e-8").needs(dataset, None)
    needs = protocol("lfw-tar-allpairs:far=1e-6").needs(dataset, None)
    assert (len(needs.original), len(needs.published)) == (7701, 2556)


def test_it_has_no_rule():
    with pytest.raises(BadConfig, match="rule"):
        protocol("lfw-tar-allpairs:rule=facenet")


def test_recovered_probes_are_judged_at_the_same_threshold():
    world = random_world()
    world.vectors |= {
        ("recovered", id_): world.vectors["original", id_]
        for kind, id_ in list(world.vectors)
        if kind == "published"
    }
    bench = protocol(SPEC)
    assert bench.needs(world, None).recovered == bench.needs(world, None).published
    found = by_name(bench.reduce(bench.score(world, world, "judge", None)))
    clean = squared_distances(
        *(
            np.array([world.vectors["original", name] for name in side])
            for side in zip(*((p.a, p.b) for p in world.pairs() if p.same), strict=True)
        )
    )
    threshold = found["tar"].detail["threshold"]
    assert found["tar_recovered"].value == (clean < threshold).mean() > found["tar"].value
    assert found["tar_recovered"].detail["threshold"] == threshold
    plain = random_world()
    reason = by_name(bench.reduce(bench.score(plain, plain, "judge", None)))["tar_recovered"].reason
    assert reason == "not reversible"
