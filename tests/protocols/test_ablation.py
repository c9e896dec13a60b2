"""A composition of protocols says what its parts say, and refuses what it cannot tell apart."""

from types import SimpleNamespace

import pytest
from recovery_world import Gallery
from verification_world import protocol

from anonbench.errors import BadConfig
from anonbench.registry import methods, protocols
from anonbench.results.published import published
from anonbench.values import Pair

PEOPLE = Gallery(
    all_pairs=tuple(Pair(0, f"p{person}/1", f"p{person}/2", True) for person in range(9))
)


def part_names(card) -> list[str]:
    return [spec.partition("/")[0] for spec in card.config["parts"].split("+")]


def test_metrics_are_those_of_the_parts() -> None:
    card = protocols.card("ablation")
    parts = [protocols.card(name) for name in part_names(card)]
    known = {spec.name: spec for part in parts for spec in part.metrics}
    assert [spec.name for spec in card.metrics] == card.config["metrics"].split("+")
    assert [known[spec.name] for spec in card.metrics] == list(card.metrics)
    assert set(card.judge_kinds) <= {kind for part in parts for kind in part.judge_kinds}
    printed = {v.metric for v in published() if v.protocol == "ablation"}
    assert printed <= {spec.name for spec in card.metrics}


def test_the_paper_suite_has_the_judges_of_table_6() -> None:
    judges = protocols.card("ablation").suites["paper"].judges
    assert {v.judge for v in published() if v.protocol == "ablation"} == set(judges)


@pytest.mark.parametrize("suite", ["demo", "paper"])
def test_parts_take_the_settings_of_the_suite(suite) -> None:
    bench = protocols.load("ablation")(protocols.parse("ablation", suite))
    for name, part in bench.parts.items():
        own = {"seeds": 1} if name == "celebahq-similarity" else {}
        assert part.card.config == protocols.parse(name, suite).config | own


def test_a_part_can_be_given_settings() -> None:
    parts = "parts=celebahq-similarity/seeds=2+utility/small_sample=true"
    bench = protocol(f"ablation:{parts}")
    assert bench.parts["utility"].card.config["small_sample"] is True
    assert bench.needs(PEOPLE, None).seeds == 2


def test_needs_are_those_of_all_parts() -> None:
    parts = "ablation:parts=celebahq-similarity+utility"
    needs = protocol(parts).needs(PEOPLE, 3)
    similarity = protocol("celebahq-similarity").needs(PEOPLE, 3)
    utility = protocol("utility").needs(PEOPLE, 3)
    assert len(needs.published) == 3
    for source in ("reference", "published", "recovered"):
        either = {getattr(similarity, source), getattr(utility, source)} - {()}
        assert {getattr(needs, source)} == either
    assert needs.seeds == similarity.seeds > utility.seeds


def test_parts_with_other_images_are_refused() -> None:
    bench = protocol("ablation:parts=utility+diversity:metrics=fd-vgg16")
    with pytest.raises(BadConfig, match="need different images as 'reference'"):
        bench.needs(PEOPLE, None)


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("metrics=cosine+beauty", "'beauty'.*It is in none"),
        ("metrics=detection-rate", "The card lists"),
        ("parts=celebahq-similarity+utility+recovery", "celebahq-similarity and recovery"),
        ("parts=ablation", "compares variants itself"),
    ],
)
def test_what_cannot_be_told_is_refused(setting, why) -> None:
    with pytest.raises(BadConfig, match=why):
        protocol(f"ablation:{setting}")


def test_a_judge_goes_to_the_parts_of_its_kind(monkeypatch) -> None:
    bench = protocol("ablation:metrics=cosine+fd-vgg16")
    asked = []
    for name, part in bench.parts.items():
        fake = SimpleNamespace(
            card=part.card, score=lambda *told, name=name: asked.append((name, told[2])) or {}
        )
        monkeypatch.setitem(bench.parts, name, fake)
    for judge in ("fr-feature", "vgg16", "dlib-hog", "lpips-alex", ""):
        bench.score(PEOPLE, None, judge, None)
    assert asked == [
        ("celebahq-similarity", "fr-feature"), ("utility", "vgg16"), ("utility", "dlib-hog"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in methods.names() if name[:4] != "toy-"])
def test_variants_are_settings_of_their_method(name) -> None:
    card = methods.card(name)
    for changes in card.variants.values():
        for key, value in changes.items():
            assert type(value) is type(card.config[key])
    configs = [tuple(sorted((card.config | c).items())) for c in card.variants.values()]
    assert len(set(configs)) == len(configs)


def test_obfuscation_is_compared_by_strength() -> None:
    card = methods.card("pixelate")
    for changes in card.variants.values():
        configured = card.configured(card.config | changes)
        assert methods.load("pixelate")(configured, "cpu").block == changes["block"]
    assert [c["sigma"] for c in methods.card("blur").variants.values()] == [4, 8, 16]
