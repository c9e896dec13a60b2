"""`ablation` through the engine: every variant is run, and says what the parts alone say."""

import pytest

PARTS = ("celebahq-similarity", "utility")
JUDGES = ("toy-recogniser", "toy-photographer", "toy-colours")
LISTED = {"cosine", "cosine-recovered", "landmark-distance", "shape-l2", "expression-l2"}


def told(outcome):
    return {(m.judge, m.name): (m.value, m.reason) for m in outcome.result.metrics}


def test_each_variant_of_a_method_is_run_and_measured_as_by_the_parts(toy_run) -> None:
    together = toy_run(methods=("pixelate",), protocols=("ablation",), judges=JUDGES)
    blocks = [outcome.result.method.config["block"] for outcome in together]
    assert blocks == [8, 16, 32]
    alone = toy_run(methods=("pixelate:block=16",), protocols=PARTS, judges=JUDGES)
    known = {key: value for outcome in alone for key, value in told(outcome).items()}
    found = told(together[1])
    assert {name for _, name in found} == LISTED
    assert found == {key: known[key] for key in found}
    assert found["toy-recogniser", "cosine"][0] < 1
    assert found["toy-recogniser", "cosine-recovered"][1] == "not reversible"
    cosines = [told(outcome)["toy-recogniser", "cosine"][0] for outcome in together]
    assert cosines == sorted(cosines, reverse=True)


def test_a_method_with_settings_is_one_variant(toy_run) -> None:
    (one,) = toy_run(methods=("pixelate:block=4",), protocols=("ablation",), judges=JUDGES[:1])
    assert one.result.method.config["block"] == 4
    assert told(one)["toy-recogniser", "cosine"][0] == pytest.approx(1, abs=0.2)
