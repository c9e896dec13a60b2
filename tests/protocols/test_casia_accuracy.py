import numpy as np
import pytest
import torch
from people_world import People, axis_of
from torch import nn
from verification_world import protocol

from anonbench.errors import BadConfig, BadData, Diverged
from anonbench.registry import protocols

PROBE = "casia-accuracy:people=4:images=5:bootstrap=100"
FACENET = f"{PROBE}:recipe=facenet:size=75:batch=8:epochs=6:rate=0.01:drops=:dropout=0:images=6"


def four_people(make, **fields) -> People:
    return People({f"p{n}": 7 for n in range(4)}, make, **fields)


def kept(source, image, seed):
    return axis_of(image)


def shifted_when_published(source, image, seed):
    """Everybody is published as the next person, and recovered as they were."""
    return np.roll(axis_of(image), source == "published")


def hidden_when_published(source, image, seed):
    return np.ones(4) if source == "published" else axis_of(image)


def measure(people: People, spec: str = PROBE, judge: str = "judge", limit=None):
    """The reduction, its metrics by name, and the scores."""
    bench = protocol(spec)
    scores = bench.score(people, people, judge, limit)
    reduction = bench.reduce(scores)
    return reduction, {metric.name: metric for metric in reduction.metrics}, scores


def values(found):
    return {name.removeprefix("accuracy-"): metric.value for name, metric in found.items()}


def test_everybody_is_recognised_where_nothing_changes() -> None:
    reduction, found, scores = measure(four_people(kept))
    assert values(found) == {
        "original": 100, "a": 100, "b": 100, "a-recovered": 100, "b-recovered": 100,
    }  # fmt: skip
    assert found["accuracy-b"].n == 4
    assert (found["accuracy-b"].unit, found["accuracy-b"].direction) == ("%", "lower")
    assert (reduction.counts.expected, reduction.counts.used) == (20, 20)
    assert reduction.counts.detail["images learned"] == 16
    assert reduction.counts.detail["images tested"] == 4
    held_out = scores["test"]
    assert (np.bincount(scores["identity"][held_out]) == 1).all()
    assert (scores["told_b"][~held_out] == -1).all()


def test_people_published_as_each_other_are_never_recognised_but_come_back() -> None:
    _, found, _ = measure(four_people(shifted_when_published))
    assert values(found) == {
        "original": 100, "a": 0, "b": 0, "a-recovered": 100, "b-recovered": 100,
    }  # fmt: skip


def test_published_faces_that_are_all_alike_leave_chance() -> None:
    _, found, scores = measure(four_people(hidden_when_published))
    assert values(found)["a"] == values(found)["b"] == 25
    assert len(np.unique(scores["told_b"][scores["test"]])) == 1


def test_only_one_side_being_known_tells_a_from_b() -> None:
    """The published image of an odd person is anybody's, that of an even one their own."""

    def half(source, image, seed):
        odd = int(image[1]) % 2
        return -axis_of(image) if source == "published" and odd else axis_of(image)

    _, found, _ = measure(four_people(half))
    assert values(found)["b"] == 50
    assert values(found)["original"] == 100


def test_a_method_that_cannot_recover_says_so() -> None:
    _, found, _ = measure(four_people(kept, reversible=False))
    for name in ("accuracy-a-recovered", "accuracy-b-recovered"):
        assert (found[name].value, found[name].reason) == (None, "not reversible")
    assert found["accuracy-b"].value == 100


def test_the_interval_is_over_people() -> None:
    def two_of_four(source, image, seed):
        return np.roll(axis_of(image), source == "published" and image[1] in "01")

    _, found, _ = measure(four_people(two_of_four), f"{PROBE}:test_share=0.4")
    b = found["accuracy-b"]
    assert (b.value, b.n) == (50, 8)
    assert (b.intervals[0].low, b.intervals[0].high) == (0, 100)
    assert "identities" in b.intervals[0].method


def test_failed_images_are_neither_learned_nor_tested_and_are_counted() -> None:
    people = four_people(kept)
    failed = protocol(PROBE).needs(people, None).published[:2]
    people.failed = {("published", failed[0]): "boom", ("recovered", failed[1]): "bang"}
    people.unseen = {
        ("published", image) for image in protocol(PROBE).needs(people, None).published
    }
    reduction, found, scores = measure(people)
    assert reduction.counts.failed == {"published: boom": 1, "recovered: bang": 1}
    assert (reduction.counts.expected, reduction.counts.used) == (20, 18)
    assert reduction.counts.detail["published images without a face"] == 18
    assert reduction.counts.detail["reference images without a face"] == 0
    lost = np.isin(scores["image"], failed)
    assert (scores["told_original"][lost] == -1).all()
    assert found["accuracy-b"].value == 100


def test_an_embedding_without_a_direction_is_a_failure() -> None:
    image = protocol(PROBE).needs(four_people(kept), None).published[0]

    def nothing_of_one(source, name, seed):
        return axis_of(name) * (name != image or source != "published")

    reduction, _, _ = measure(four_people(nothing_of_one))
    assert reduction.counts.failed == {"published: unusable embedding": 1}


def test_no_image_at_all_is_an_error_with_the_reason() -> None:
    people = four_people(kept)
    people.failed = {("reference", sample.id): "boom" for sample in people.samples()}
    with pytest.raises(BadData, match="reference: boom: 20 images"):
        measure(people)


# -------------------------------------------------------------------------------- people and split
def test_people_and_images_are_drawn_by_the_seed() -> None:
    people = People({f"p{n}": 9 for n in range(12)}, kept)
    first, again, other = (
        protocol(f"{PROBE}:seed={seed}").needs(people, None).published for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == len(set(first)) == 20
    assert all(sum(i.startswith(f"{who}/") for i in first) == 5 for who in {i[:-2] for i in first})


def test_fewer_people_are_a_part_of_more_and_so_are_their_images() -> None:
    people = People({f"p{n}": 9 for n in range(12)}, kept)

    def needed(spec, limit=None):
        return set(protocol(spec).needs(people, limit).reference)

    every = needed(f"{PROBE}:people=0")
    assert len(every) == 12 * 5
    assert needed(PROBE) < every
    assert needed(f"{PROBE}:images=4") < needed(PROBE)
    assert needed(f"{PROBE}:people=0", 24) == needed(PROBE)
    assert needed(PROBE, 1000) == needed(PROBE)


def test_reference_published_and_recovered_are_the_same_images_once() -> None:
    needs = protocol(PROBE).needs(four_people(kept), None)
    assert needs.reference == needs.published == needs.recovered == tuple(sorted(needs.published))
    assert (needs.original, needs.seeds) == ((), 1)


@pytest.mark.parametrize(
    ("sizes", "says", "mend"),
    [
        ([6, 6, 5, 4], "has 3 of them", "people=3 or casia-accuracy:images=4"),
        ([6, 6, 5], "has 3 of them", "people=3$"),
        ([9, 3, 3, 3], "has 1 of them", "casia-accuracy:images=3"),
        ([1] * 50, "at most 1 each", "Use a dataset with several images"),
    ],
)
def test_too_few_people_is_an_error_that_says_what_to_lower(sizes, says, mend) -> None:
    people = People({f"p{n}": size for n, size in enumerate(sizes)}, kept)
    with pytest.raises(BadData, match=says) as caught:
        protocol(PROBE).needs(people, None)
    assert caught.match(mend)


def test_a_limit_without_room_for_two_people_is_an_error() -> None:
    with pytest.raises(BadData, match="--limit 10 or more"):
        protocol(PROBE).needs(four_people(kept), 9)
    assert len(protocol(PROBE).needs(four_people(kept), 10).published) == 10


# -------------------------------------------------------------------------------------- whose turn
def test_without_a_judge_the_probe_only_knows_chance() -> None:
    reduction, found, scores = measure(four_people(kept), judge="")
    assert set(found) == {"chance"}
    assert found["chance"].value == 25
    assert set(scores) == {"people"}
    assert (reduction.counts.used, reduction.counts.unit) == (4, "people")


def test_a_network_from_scratch_asks_no_judge() -> None:
    reduction, found, scores = measure(four_people(kept), FACENET)
    assert (scores, found) == ({}, {})
    assert reduction.counts.expected == 0


def test_only_a_facenet_can_be_started_from() -> None:
    with pytest.raises(BadConfig, match="'dlib-resnet' is no FaceNet"):
        measure(four_people(kept), f"{FACENET}:start=judge", "dlib-resnet")


# ----------------------------------------------------------------------------------------- FaceNet
COLOURS = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1]])


def coloured(source, image, seed):
    """A person is a colour, with noise; published, everybody has the next one's."""
    who, number = int(image[1]), int(image[3])
    rng = np.random.default_rng([who, number])
    colour = COLOURS[(who + (source == "published")) % 4]
    return (colour + rng.normal(0, 0.1, (80, 80, 3))).clip(0, 1).astype(np.float32)


class Small(nn.Module):
    """Learns as fast as Inception-ResNet-v1 does slowly."""

    def __init__(self, classes=0, dropout=0.0):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 5, stride=5)
        self.dropout = nn.Dropout(dropout)
        if classes:
            self.logits = nn.Linear(16, classes)

    def classify(self, crops):
        return self.logits(self.dropout(self.conv(crops).relu().mean((2, 3))))


@pytest.fixture
def small(monkeypatch):
    import anonbench_classification.facenet

    monkeypatch.setattr(anonbench_classification.facenet, "InceptionResnetV1", Small)


def test_a_network_learns_people_that_are_easy_to_tell(small) -> None:
    people = four_people(coloured, failed={("published", "p0/1"): "boom"})
    reduction, found, scores = measure(people, f"{FACENET}:images=7:epochs=40", judge="")
    assert values(found) == {
        "original": 100, "a": 0, "b": 0, "a-recovered": 100, "b-recovered": 100, "chance": 25,
    }  # fmt: skip
    assert reduction.counts.failed == {"boom": 1}
    for source in ("reference", "published", "recovered"):
        losses = scores[f"loss_{source}"]
        assert len(losses) == 40
        assert losses[-1] < losses[0] / 2
    assert np.array_equal(scores["loss_reference"], scores["loss_recovered"])
    assert not np.array_equal(scores["loss_reference"], scores["loss_published"])
    assert (scores["test"].sum(), len(scores["test"])) == (4, 28)


def test_inception_resnet_learns_from_its_first_steps() -> None:
    people = four_people(coloured, reversible=False)
    spec = f"{FACENET}:people=2:images=2:epochs=3:rate=0.001"
    _, found, scores = measure(people, spec, judge="")
    assert scores["loss_reference"][-1] < scores["loss_reference"][0] / 2
    assert found["accuracy-original"].n == 2


def test_training_repeats_itself_by_its_seed_and_disturbs_no_other_draw(small) -> None:
    state = torch.get_rng_state()
    people = four_people(coloured, reversible=False)
    runs = [
        measure(people, f"{FACENET}:dropout=0.5:seed={seed}", judge="")[2]["loss_published"]
        for seed in (0, 0, 5)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    assert torch.equal(state, torch.get_rng_state())


def test_bfloat16_averages_and_gradient_descent_learn_too(small) -> None:
    spec = f"{FACENET}:precision=bfloat16:optimizer=sgd:rate=0.2:ema=0.5:flip=false:epochs=40"
    _, found, scores = measure(four_people(coloured, reversible=False), spec, judge="")
    assert scores["loss_reference"][-1] < scores["loss_reference"][0] / 2
    assert found["accuracy-original"].value == 100


def test_averaged_weights_are_those_that_are_tested(small) -> None:
    """An average that hardly moves is the network after its first step, which knows nobody yet."""
    spec = f"{FACENET}:epochs=40:ema=0.999999"
    _, found, scores = measure(four_people(coloured, reversible=False), spec, judge="")
    assert scores["loss_reference"][-1] < scores["loss_reference"][0] / 2
    assert found["accuracy-original"].value < 100


def test_a_judge_to_start_from_gives_all_but_its_classifier(small, monkeypatch, tmp_path) -> None:
    """Its filters see no red, green or blue: without a step to learn, all faces look the same."""
    from safetensors.torch import save_file

    from anonbench import weights

    blind = {key: torch.zeros_like(value) for key, value in Small(9).state_dict().items()}
    save_file(blind, tmp_path / "facenet.safetensors")
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "facenet.safetensors")
    people = four_people(coloured, reversible=False)
    spec = f"{FACENET}:start=judge:epochs=1:rate=1e-12:batch=100"
    _, found, scores = measure(people, spec, "facenet-casia")
    assert len(np.unique(scores["told_original"][scores["test"]])) == 1
    assert found["accuracy-original"].value == 25
    assert measure(people, spec, "")[2].keys() == {"people"}


def test_a_loss_that_is_no_number_is_an_error(small) -> None:
    with pytest.raises(Diverged, match="Lower the setting `rate`"):
        measure(four_people(coloured), f"{FACENET}:rate=1e30:optimizer=sgd", judge="")


def test_the_rate_falls_to_a_tenth_at_each_drop() -> None:
    options = protocol(f"{PROBE}:rate=0.05:drops=60/80").options
    rates = [options.rate_at(epoch) for epoch in (0, 59, 60, 79, 80, 90)]
    assert rates == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005])
    assert protocol(f"{PROBE}:rate=0.05:drops=").options.rate_at(99) == 0.05


@pytest.mark.parametrize(
    "setting",
    ["people=1", "images=1", "test_share=1", "recipe=svm", "drops=60,80", "size=74", "batch=1"],
)
def test_a_bad_setting_of_accuracy_is_named(setting) -> None:
    with pytest.raises(BadConfig, match=f"casia-accuracy:{setting.split('=')[0]}"):
        protocol(f"casia-accuracy:{setting}")


def test_the_card_fits_the_papers_table() -> None:
    from anonbench.results.published import table

    card, printed = protocols.card("casia-accuracy"), table("drdpgan-table-1")
    directions = {spec.name: (spec.direction, spec.unit) for spec in card.metrics}
    for column in printed.columns:
        assert directions[column.metric] == (column.direction, column.unit)
        assert column.judge in (*card.suites["paper"].judges, "")
        assert "disputed" in column.note
    assert printed.protocol == card.name
    assert printed.dataset == card.suites["paper"].dataset
