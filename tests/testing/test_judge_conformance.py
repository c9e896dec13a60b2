"""The conformance suite for judges accepts what keeps its promises and names what is broken."""

from importlib.metadata import EntryPoint
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from anonbench import registry
from anonbench.cards import JudgeCard
from anonbench.testing import check_judge, failures
from anonbench.values import Face

RECOGNISER = JudgeCard(
    name="toy",
    title="Toy",
    summary="Mean colours.",
    licence="MIT",
    citation="none",
    kind="recognition",
    template="ffhq-64",
    dim=48,
    training_data="none",
)
POSE = RECOGNISER.model_copy(update={"kind": "pose", "dim": 0, "traits": {"pose": 3}})
PERCEPTUAL = RECOGNISER.model_copy(update={"kind": "perceptual", "dim": 0, "template": ""})
DETECTOR = PERCEPTUAL.model_copy(update={"kind": "detection"})


def colours(crops):
    return torch.nn.functional.adaptive_avg_pool2d(crops, 4).flatten(1)


def blind_to_the_first(crops):
    told = crops.mean((2, 3))
    told[crops.amax((1, 2, 3)) < 2, :2] = float("nan")
    return told


def face(box=(10, 10, 90, 90), score=1.0, points=5):
    return Face(np.array(box, float), score, np.ones((points, 2)))


def changing(crops):
    return colours(crops.mul_(0.5))


embeds = {
    "Good": colours,
    "TooLong": lambda crops: colours(crops).repeat(1, 2),
    "NotFinite": lambda crops: colours(crops) / 0,
    "Changes": changing,
    "Random": lambda crops: colours(crops) + torch.rand(1),
    "InTraining": lambda crops: colours(crops) - colours(crops).mean(0),
    "Constant": lambda crops: colours(crops) * 0 + 1,
}
describes = {
    "GoodPose": lambda crops: crops.mean((2, 3)),
    "Blind": lambda crops: crops.mean((2, 3)) * float("nan"),
    "HalfBlind": blind_to_the_first,
}
distances = {
    "GoodDistance": lambda one, other: (one - other).abs().mean((1, 2, 3)),
    "NeverNear": lambda one, other: torch.ones(len(one)),
}
detects = {
    "GoodDetector": lambda image: [face(), face(score=0.5)] if image.std() > 1 else [],
    "WorstFirst": lambda image: [face(score=0.5), face()],
    "Upright": lambda image: [face((90, 10, 10, 90))],
    "TwoPoints": lambda image: [face(points=2)],
    "NoFaces": lambda image: [image],
}
BREACHES = {
    "NoData": "card: complete",
    "NoLength": "card: kind",
    "NoTraits": "card: kind",
    "NoTemplate": "card: template",
    "NoSuchTemplate": "card: template",
    "NoSuchWeights": "card: weights",
    "NoCard": "object: built",
    "NoFunction": "object: built",
    "TooLong": "embed: shape",
    "NotFinite": "embed: finite",
    "Changes": "embed: input kept",
    "Random": "embed: repeatable",
    "InTraining": "embed: batch",
    "Constant": "embed: tells apart",
    "HalfBlind": "describe: finite",
    "NeverNear": "distance: tells apart",
    "WorstFirst": "detect: faces",
    "Upright": "detect: faces",
    "TwoPoints": "detect: faces",
    "NoFaces": "detect: faces",
}
CARDS = {
    "NoData": RECOGNISER.model_copy(update={"training_data": ""}),
    "NoLength": RECOGNISER.model_copy(update={"dim": 0}),
    "NoTraits": POSE.model_copy(update={"traits": {}}),
    "NoTemplate": RECOGNISER.model_copy(update={"template": ""}),
    "NoSuchTemplate": RECOGNISER.model_copy(update={"template": "ffhq"}),
    "NoSuchWeights": RECOGNISER.model_copy(update={"weights": ("no-such",)}),
}


def toy(name):
    """The class of a toy judge, and its card."""

    def build(card, device):
        judge = SimpleNamespace(card=None if name == "NoCard" else card)
        if name in describes:
            judge.describe = lambda crops: {"pose": describes[name](crops)}
        elif name in distances:
            judge.distance = distances[name]
        elif name in detects:
            judge.detect = lambda image, upsample=1: detects[name](image)
            judge.landmarks = lambda image, box: face(box)
        elif name != "NoFunction":
            judge.embed = embeds.get(name, colours)
        return judge

    kinds = ((describes, POSE), (distances, PERCEPTUAL), (detects, DETECTOR))
    card = next((card for some, card in kinds if name in some), RECOGNISER)
    return build, CARDS.get(name, card)


@pytest.fixture
def check(monkeypatch):
    def run(name):
        build, card = toy(name)
        known = registry.judges
        point = EntryPoint(name, f"nowhere:{name}", "anonbench.judges")
        monkeypatch.setitem(known._points, name, [point])
        monkeypatch.setitem(known._cards, name, card.model_copy(update={"name": name}))
        monkeypatch.setattr(known, "load", lambda asked: build)
        return check_judge(name)

    return run


@pytest.mark.parametrize("name", BREACHES)
def test_a_broken_judge_fails_exactly_the_check_it_breaks(check, name) -> None:
    (failed,) = failures(check(name))
    assert failed.name == BREACHES[name]
    assert len(failed.detail) > 20


@pytest.mark.parametrize("name", ["Good", "GoodPose", "GoodDistance", "GoodDetector"])
def test_a_judge_that_keeps_its_promises_passes(check, name) -> None:
    checks = check(name)
    assert all(check.passed for check in checks)
    assert len(checks) > 6


def test_a_judge_may_see_no_face_in_a_drawing(check) -> None:
    assert [(c.name, c.status) for c in check("Blind") if not c.passed] == [
        ("describe: tells apart", "skipped")
    ]


def test_the_command_tells_what_is_wrong_and_exits_with_1(anonbench, check) -> None:
    check("Random")
    done = anonbench("test-judge", "Random")
    assert done.code == 1
    assert "Random: 8 passed, 1 failed, 2 skipped" in done.out and "eval()" in done.out


def test_a_judge_of_the_suite_passes(anonbench, artefact) -> None:
    for name in registry.judges.card("dlib-resnet").weights:
        artefact(name)
    done = anonbench("test-judge", "dlib-resnet", "--json")
    assert done.code == 0 and '"judge": "dlib-resnet"' in done.out
