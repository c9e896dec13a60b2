"""Configurations of trainings: what is wrong with one is said with file and key."""

import re
from pathlib import Path

import pytest
from training_world import METHOD, changed_config

from anonbench.errors import BadConfig, UnknownName
from anonbench.training.settings import differences, load_config


def test_a_packaged_configuration_goes_by_its_name() -> None:
    config = load_config(METHOD, "demo")
    assert (config.run.steps, config.run.keep, config.run.precision) == (12, 2, "fp32")
    assert config.plain()["training"] == {
        "learning_rate": 0.02,
        "poison_loss_at": -1,
        "poison_weights_at": -1,
    }
    assert load_config(METHOD, "demo", steps=99).run.steps == 99
    with pytest.raises(BadConfig, match=r"no configuration 'papr'.*It comes with: demo"):
        load_config(METHOD, "papr")


@pytest.mark.parametrize(
    ("line", "instead", "key"),
    [
        ("steps = 12", "", "run.steps: Field required"),
        ("steps = 12", "steps = 0", "run.steps: "),
        ("batch = 4", 'batch = "four"', "run.batch: "),
        ("seed = 3", "sed = 3", "run.sed: Extra inputs"),
        ("seed = 3", 'precision = "fp16"', "run.precision: "),
        ("seed = 3", "ema = 1.0", "run.ema: "),
        ("[[data.sources]]", "[[data.sourcs]]", "data.sources: Field required"),
        ('dataset = "folder"', "", "data.sources.0.dataset: Field required"),
        ("learning_rate = 0.02", "learning_rate = []", "training.learning_rate: "),
        ("learning_rate = 0.02", "momentum = 0.9", "training.momentum: Extra inputs"),
        ('name = "toy-tint"', 'name = "g2face"', "method.name is 'g2face'"),
        ("[run]", "run = 5\n[rum]", "run: "),
        ("[run]", "[run", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, line: str, instead: str, key: str) -> None:
    path = changed_config(tmp_path / "wrong.toml")
    assert line in path.read_text()
    path.write_text(path.read_text().replace(line, instead))
    with pytest.raises(BadConfig, match=re.escape(str(path)) + ".*" + re.escape(key)):
        load_config(METHOD, str(path), steps=7 if line == "[run]" else None)


def test_missing_files_and_methods(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"There is no configuration file"):
        load_config(METHOD, str(tmp_path / "none.toml"))
    with pytest.raises(UnknownName, match=r"no training named 'toy-tnt'.*toy-tint"):
        load_config("toy-tnt", "demo")


def test_differences_that_have_no_effect_do_not_count(tmp_path: Path) -> None:
    ours = load_config(METHOD, "demo").plain()
    path = changed_config(tmp_path / "c.toml", steps=40, log_every=9, keep=7, checkpoint_every=1)
    assert differences(ours, load_config(METHOD, str(path)).plain()) == []
    path = changed_config(tmp_path / "c.toml", batch=2, template="ffhq-32", learning_rate=1.0)
    assert differences(ours, load_config(METHOD, str(path)).plain()) == [
        *("data.template", "run.batch", "training.learning_rate")
    ]
    without = {key: table for key, table in ours.items() if key != "method"}
    assert differences(ours, without) == ["method.name"]
