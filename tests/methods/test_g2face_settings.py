"""Configurations of G²Face's training: schedules, presets, the files that come with it."""

import pytest
from pydantic import ValidationError

from anonbench.generative.settings import at
from anonbench.training.settings import load_config
from anonbench_g2face.config import CODE, PAPER, Variant
from anonbench_g2face.settings import Settings, Weights


def test_a_schedule_is_linear_between_its_points() -> None:
    weights = Weights.model_validate({"identity": [[100, 0.0], [200, 1.0], [400, 0.5]], "swap": 3})
    values = [at(weights.identity, step) for step in (0, 100, 150, 200, 300, 400, 10_000)]
    assert values == pytest.approx([0, 0, 0.5, 1, 0.75, 0.5, 0.5])
    assert at(weights.swap, 7) == 3.0


@pytest.mark.parametrize("schedule", [[], [[200, 1.0], [100, 0.5]], [[5, 1.0], [5, 0.5]]])
def test_a_schedule_needs_rising_steps(schedule: list[list[float]]) -> None:
    with pytest.raises(ValidationError, match="swap"):
        Weights.model_validate({"swap": schedule})


def test_rates_rise_then_fall_in_stairs() -> None:
    settings = Settings(warmup=10, decay=0.5, decay_every=100)
    rates = [settings.rate(step) for step in (0, 4, 9, 10, 109, 110, 210)]
    assert rates == pytest.approx([0.1, 0.5, 1, 1, 1, 0.5, 0.25])


def test_a_variant_goes_by_name_or_by_table() -> None:
    assert Settings.model_validate({"variant": "paper"}).variant == PAPER
    row = Settings.model_validate({"variant": "GENP+IFF"}).variant
    assert row == CODE.model_copy(update={"geometric_prior": False})
    table = Settings.model_validate({"variant": {"joint": True}}).variant
    assert table == Variant(joint=True)
    with pytest.raises(ValidationError, match=r"'papers' is none of code, paper, GENP"):
        Settings.model_validate({"variant": "papers"})


@pytest.mark.parametrize(("name", "variant"), [("paper", PAPER), ("code", CODE)])
def test_the_published_configurations(name: str, variant: Variant) -> None:
    config = load_config("g2face", name)
    settings = config.training
    assert isinstance(settings, Settings)
    assert settings.variant == variant and settings.priors == "official"
    assert (config.run.steps, config.run.batch, config.run.ema) == (100_000, 32, 0)
    assert config.data.template == f"ffhq-{settings.image}" == "ffhq-256"
    assert settings.weights == Weights(), "the defaults are the article's"
    assert (settings.learning_rate, settings.prior_learning_rate) == (1e-3, 1e-4)
    assert not settings.quantized and settings.extractor_noise == 0.01
    assert settings.architecture(512, 147).bits == 16_384


def test_the_demo_configuration_holds_the_papers_density() -> None:
    config = load_config("g2face", "demo")
    settings = config.training
    assert isinstance(settings, Settings)
    assert settings.priors == "demo" and not settings.variant.generative_prior
    architecture = settings.architecture(128, 32)
    assert architecture.bits * 12 == 3 * settings.image**2
    lfw = [source for source in config.data.sources if source.dataset == "lfw"]
    assert [source.people for source in lfw] == ["unpaired"], "nobody of the test is trained on"
