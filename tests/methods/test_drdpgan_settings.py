"""Configurations of DR-DPGAN's training: presets, rows of Table 4, the files that come with it."""

import re
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from anonbench.training.settings import load_config
from anonbench_drdpgan.ablations import ROWS
from anonbench_drdpgan.settings import Settings, Weights

TABLE_4 = {  # F_id in FIG, 3DPC, E_G
    1: (True, False, False),
    2: (False, True, False),
    3: (False, False, True),
    4: (True, True, False),
    5: (True, False, True),
    6: (False, True, True),
    7: (True, True, True),
}


def settings(**table: Any) -> Settings:
    return Settings.model_validate(table)


@pytest.mark.parametrize(("preset", "weight"), [("paper", 0.0), ("practical", 1.0)])
def test_what_a_preset_says_is_spelled_out_in_what_is_stored(preset: str, weight: float) -> None:
    chosen = settings(preset=preset)
    stored = chosen.model_dump(mode="json")
    assert stored["weights"]["reconstruction"] == weight
    assert Settings.model_validate(stored) == chosen
    assert Settings.model_validate(stored | {"preset": "practical"}).weights == chosen.weights
    own = settings(preset=preset, weights={"reconstruction": 3.0, "identity": 2.0})
    assert (own.weights.reconstruction, own.weights.identity) == (3.0, 2.0)


def test_other_presets_and_parts_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"'paper' or 'practical'"):
        settings(preset="code")
    for row in (0, 8, -1, "FIG+GENP"):
        with pytest.raises(ValidationError, match=re.escape(f"no row '{row}', but 1 to 7: FIG, ")):
            settings(parts=row)
    with pytest.raises(ValidationError, match="parts"):
        settings(parts=True)


@pytest.mark.parametrize(("number", "switches"), TABLE_4.items())
def test_a_row_of_table_4_changes_the_parts_that_it_names(
    number: int, switches: tuple[bool, bool, bool]
) -> None:
    full, row = settings().build(512, 147), settings(parts=number)
    guided, geometric_prior, fusion = switches
    expected = replace(
        full,
        guided=guided,
        architecture=replace(
            full.architecture, geometry=147 if geometric_prior else 0, fusion=fusion
        ),
    )
    assert row.build(512, 147) == expected
    assert settings(parts=ROWS[number - 1]) == row
    assert row.model_copy(update={"parts": settings().parts}) == settings(), "and nothing else"


def test_a_row_is_stored_as_its_switches() -> None:
    stored = settings(parts="FIG+E_G").model_dump(mode="json")
    assert stored["parts"] == {"guided": True, "geometric_prior": False, "fusion": True}
    assert settings(parts=stored["parts"]) == settings(parts=5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"start_from": "x.safetensors"}, "choose one"),
        ({"priors": "demo", "morphology": "expression"}, "expression from shape"),
        ({"low": 0.5, "high": 0.4}, r"low = 0\.5 and high = 0\.4"),
    ],
)
def test_what_does_not_go_together(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**table)


def test_networks_are_built_as_told() -> None:
    told = settings(code="learned", code_bits=256, low=0.0, high=0.3, editing="adain")
    build = told.build(512, 67)
    assert (build.code, build.hidden_bits, build.architecture.geometry) == ("learned", 256, 67)
    assert (build.wanted.low, build.wanted.high) == (0.0, 0.3)
    assert build.architecture.editing == "adain"
    assert (build.architecture.mask_selects, build.architecture.mask_norm) == ("face", False)


@pytest.mark.parametrize(("name", "reconstruction"), [("paper", 0.0), ("practical", 1.0)])
def test_the_published_configurations(name: str, reconstruction: float) -> None:
    config = load_config("drdpgan", name)
    told = config.training
    assert isinstance(told, Settings)
    assert told.weights == Weights(reconstruction=reconstruction)
    weights = told.weights
    terms = weights.adversarial, weights.discriminative, weights.identity, weights.information
    assert terms == (1, 1, 1, 5)
    assert terms[2:] == (weights.recovered_identity, weights.recovered_information)
    assert (told.learning_rate, told.prior_learning_rate, config.run.batch) == (1e-3, 1e-4, 8)
    assert told.parts == settings(parts=7).parts and told.code == "ieee754"
    assert told.quantized == (name == "practical")
    assert config.data.template == f"ffhq-{told.image}" == "ffhq-256"
    assert told.build(512, 147).hidden_bits == 16_384
    assert config.plain()["training"]["weights"]["reconstruction"] == reconstruction


def test_the_demo_configuration() -> None:
    config = load_config("drdpgan", "demo")
    told = config.training
    assert isinstance(told, Settings)
    assert told.priors == "demo" and told.start_from == "anonbench_g2face/demo.safetensors"
    assert (told.low, told.high) == (0.1, 0.4) and told.refine
    assert told.weights.discriminative == 0.0 and told.weights.reconstruction == 2.0
    assert told.build(128, 32).hidden_bits * 12 == 3 * told.image**2
    lfw = [source for source in config.data.sources if source.dataset == "lfw"]
    assert [source.people for source in lfw] == ["unpaired"], "nobody of the test is trained on"
