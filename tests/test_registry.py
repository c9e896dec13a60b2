"""Registries: lazy, forgiving of typing errors, open to packages that this suite has never seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anonbench import registry
from anonbench.cards import DatasetCard, JudgeCard, MethodCard, ProtocolCard
from anonbench.errors import BadConfig, MissingExtra, UnknownName, UserError
from anonbench.registry import Registry

CARDS = """
[{package}-base]
title = "Base"
summary = "A method of a third party."
licence = "MIT"
family = "{package}"
paper = "none"
extras = ["faces"]
config = {{ strength = 0.5, rounds = 3, sharp = true, mode = "soft" }}

[{package}-strong]
extends = "{package}-base"
title = "Strong"
config = {{ strength = 0.9 }}

[{package}-stronger]
extends = "{package}-strong"
config = {{ rounds = 7 }}
"""
LIST = "import sys; from anonbench.cli import main; sys.argv[1:1] = ['list', 'methods']; main()"
CARRIED = """
from anonbench.cards import MethodCard

class Carried:
    card = MethodCard(name="{package}-carried", title="Carried", licence="MIT", family="carried",
                      summary="Its card is an attribute.", paper="none")
"""


class Distribution:
    """A package with a dist-info in a folder of its own, as an installer would leave it."""

    def __init__(self, folder: Path, package: str):
        self.folder, self.package = folder, package
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("")
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        self.points = info / "entry_points.txt"
        self.points.write_text("[anonbench.methods]\n")

    def register(self, name, target):
        with self.points.open("a") as file:
            file.write(f"{self.package}-{name} = {self.package}{target}\n")
        return f"{self.package}-{name}"

    def write(self, name, text):
        (self.folder / self.package / name).write_text(text.format(package=self.package))

    def run(self, *command):
        """Run Python where this distribution is installed."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def distribution(tmp_path, monkeypatch, request):
    """A fresh distribution, also importable here; its name is the test's, so no two collide."""
    monkeypatch.syspath_prepend(tmp_path)
    return Distribution(tmp_path, f"plug_{abs(hash(request.node.name)) % 10**8}")


@pytest.fixture
def cards(distribution):
    """A distribution with three variants in a card.toml, whose code cannot be imported."""
    distribution.write("card.toml", CARDS)
    distribution.write(
        "__init__.py", "raise RuntimeError('imported, but only a card was asked for')"
    )
    for name in ("base", "strong", "stronger"):
        distribution.register(name, ":Variant")
    return distribution


def methods():
    return Registry("method", "MethodCard")


@pytest.mark.parametrize(
    ("known", "card_type"),
    [
        (registry.methods, MethodCard),
        (registry.protocols, ProtocolCard),
        (registry.judges, JudgeCard),
        (registry.datasets, DatasetCard),
    ],
)
def test_every_built_in_plugin_has_a_valid_card(known, card_type):
    assert known.names() == sorted(known.names()) and known.names()
    for name in known.names():
        card = known.card(name)
        assert isinstance(card, card_type) and card.name == name


def test_listing_and_reading_cards_imports_no_plugin(cards):
    known = methods()
    assert f"{cards.package}-strong" in known.names()
    assert known.card(f"{cards.package}-strong").title == "Strong"
    with pytest.raises(UserError, match="only a card was asked for"):
        known.load(f"{cards.package}-strong")


def test_extends_inherits_what_a_table_does_not_set(cards):
    stronger = methods().card(f"{cards.package}-stronger")
    assert (stronger.name, stronger.title) == (f"{cards.package}-stronger", "Strong")
    assert stronger.summary == "A method of a third party."
    assert stronger.config == {"strength": 0.9, "rounds": 7, "sharp": True, "mode": "soft"}


def test_extends_leaves_the_parent_as_it_was(cards):
    known = methods()
    known.card(f"{cards.package}-stronger")
    base = known.card(f"{cards.package}-base")
    assert base.config == {"strength": 0.5, "rounds": 3, "sharp": True, "mode": "soft"}


def test_parse_converts_values_to_the_type_of_their_default(cards):
    known, name = methods(), f"{cards.package}-base"
    card = known.parse(f"{name}:strength=1:rounds=5:sharp=no:mode=hard")
    assert card.config == {"strength": 1.0, "rounds": 5, "sharp": False, "mode": "hard"}
    assert isinstance(card.config["strength"], float) and isinstance(card.config["rounds"], int)
    assert known.card(name).config["rounds"] == 3, "the registered card stays as it is"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("round=5", "'round=5' .* is no setting"),
        ("rounds", "'rounds' .* is no setting"),
        ("", "is no setting"),
        ("rounds=2.5", "rounds must be int, not '2.5'"),
        ("strength=much", "strength must be float, not 'much'"),
        ("sharp=perhaps", "sharp must be true or false"),
    ],
)
def test_parse_refuses_what_is_no_setting(cards, change, message):
    with pytest.raises(BadConfig, match=message):
        methods().parse(f"{cards.package}-base:{change}")


def test_a_refused_setting_names_the_settings_there_are(cards):
    with pytest.raises(BadConfig) as caught:
        methods().parse(f"{cards.package}-base:colour=red")
    assert "strength, rounds, sharp, mode" in caught.value.why


@pytest.mark.parametrize("ask", ["card", "load", "parse"])
def test_an_unknown_name_suggests_the_nearest(ask):
    with pytest.raises(UnknownName) as caught:
        getattr(registry.methods, ask)("pixelatte")
    assert caught.value.what == "There is no method named 'pixelatte'."
    assert "Did you mean pixelate" in caught.value.why
    assert caught.value.mend == "See: anonbench list methods"


def test_a_name_like_nothing_known_gets_no_suggestion():
    with pytest.raises(UnknownName) as caught:
        registry.methods.card("zzzz")
    assert caught.value.why == ""


def test_a_missing_dependency_names_the_extra_that_brings_it(cards):
    cards.write("__init__.py", "import no_such_library")
    with pytest.raises(MissingExtra, match="no_such_library") as caught:
        methods().load(f"{cards.package}-base")
    assert "anonbench[faces]" in caught.value.mend


def test_an_entry_point_to_a_module_that_is_not_there_blames_its_package(distribution):
    name = distribution.register("gone", ".moved:Method")
    with pytest.raises(UserError, match="cannot be imported") as caught:
        methods().load(name)
    assert not isinstance(caught.value, MissingExtra)


def test_an_invalid_card_says_which_field(distribution):
    name = distribution.register("base", ":Method")
    distribution.write("card.toml", CARDS.replace("licence", "license"))
    with pytest.raises(UserError) as caught:
        methods().card(name)
    assert "licence: Field required" in caught.value.what
    assert "license: Extra inputs" in caught.value.what


def test_the_nearest_card_above_a_module_describes_it(distribution):
    """One distribution with several families: each folder's own card.toml wins."""
    (distribution.folder / distribution.package / "inner").mkdir()
    distribution.write("card.toml", CARDS)
    distribution.write("inner/card.toml", CARDS.replace('"Base"', '"Inner"'))
    name = distribution.register("base", ".inner.module:Method")
    assert methods().card(name).title == "Inner"


def test_without_a_card_toml_the_card_of_the_class_is_taken(distribution):
    distribution.write("__init__.py", CARRIED)
    name = distribution.register("carried", ":Carried")
    assert methods().card(name).summary == "Its card is an attribute."


def test_a_third_party_package_with_cards_appears_without_being_imported(cards):
    found = json.loads(
        cards.run(
            "-c",
            "import json, sys; from anonbench import registry as r; names = r.methods.names();"
            "titles = [r.methods.card(n).title for n in names];"
            "print(json.dumps([dict(zip(names, titles)), 'torch' in sys.modules]))",
        )
    )
    assert found[0][f"{cards.package}-strong"] == "Strong" and "pixelate" in found[0]
    assert found[1] is False


def test_anonbench_list_shows_a_third_party_method(cards):
    listed = json.loads(cards.run("-c", LIST, "--json"))
    entry = next(card for card in listed if card["name"] == f"{cards.package}-stronger")
    assert entry["config"]["strength"] == 0.9


def test_anonbench_list_shows_a_third_party_method_without_card_toml(distribution):
    distribution.write("__init__.py", CARRIED)
    name = distribution.register("carried", ":Carried")

    listed = distribution.run("-c", LIST)
    assert f"{name}  Its card is an attribute." in listed


def test_a_card_that_extends_itself_or_nobody_is_a_clear_error(distribution):
    for name, table in {
        "loop": 'extends = "{package}-loop"',
        "orphan": 'extends = "nobody"',
    }.items():
        point = distribution.register(name, ":Variant")
        distribution.write("card.toml", f"[{{package}}-{name}]\n{table}\n")
        registry._read_toml.cache_clear()
        with pytest.raises(UserError, match="which is itself or not in the same file"):
            methods().card(point)


def test_a_card_file_that_is_no_toml_is_named(distribution):
    point = distribution.register("typo", ":Variant")
    distribution.write("card.toml", "[unclosed\n")
    with pytest.raises(UserError, match=r"card\.toml is not valid TOML"):
        methods().card(point)


def test_a_plugin_whose_module_fails_is_a_clear_error(distribution):
    point = distribution.register("carried", ".failing:Attr")
    distribution.write("failing.py", "1 / 0\n")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        methods().card(point)


def test_a_carried_card_takes_the_name_it_was_registered_under(distribution):
    point = distribution.register("other", ".carried:Carried")
    distribution.write("carried.py", CARRIED)
    assert methods().card(point).name == point


def test_a_name_that_two_packages_register_is_refused(distribution):
    point = distribution.register("twice", ":A")
    distribution.register("twice", ":B")
    with pytest.raises(UserError, match="more than once"):
        methods().load(point)
