"""docs/add-a-judge.md, add-a-dataset.md, add-a-protocol.md: followed as somebody would."""

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import get_args

import pytest
from newcomer import Newcomer
from pages import ROOT, blocks, commands

from anonbench import registry
from anonbench.cards import Card, DatasetCard, JudgeCard, JudgeKind, ProtocolCard
from anonbench.data.base import ImageDataset
from anonbench.testing.judges import ABILITIES, DESCRIBES
from anonbench.values import Source
from anonbench.weights.artefacts import read_catalogue

JUDGE, DATASET, PROTOCOL = (
    (ROOT / "docs" / f"add-a-{kind}.md").read_text(encoding="utf-8")
    for kind in ("judge", "dataset", "protocol")
)


@pytest.fixture(scope="module")
def settled(tmp_path_factory) -> Newcomer:
    return Newcomer.settled(tmp_path_factory.mktemp("extensions"))


@pytest.fixture
def reader(settled, tmp_path) -> Newcomer:
    """A reader of one page, in a folder of its own."""
    return replace(settled, folder=tmp_path)


def fetch(page: str, artefact: Callable[[str], object]) -> None:
    """Bring what the page fetches, or skip the test."""
    for line in commands(page, "bash needs install"):
        if line.startswith("anonbench fetch "):
            for name in line.split()[2:]:
                artefact(name)


def rows(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table that begins with a heading, cell by cell."""
    table = page.split(f"\n| {heading}")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def names(cell: str) -> list[str]:
    return re.findall(r"`([\w-]+)", cell)


def first_column(page: str, heading: str) -> set[str]:
    return {name for row in rows(page, heading) for name in names(row[0])}


# ----------------------------------------------------------------------------------- followed
def test_the_judge_of_the_page_is_installed_checked_and_used(reader, artefact) -> None:
    fetch(JUDGE, artefact)
    reader.follow(blocks(JUDGE))
    assert len(list((reader.folder / "runs").rglob("*.json"))) == 1


def test_the_dataset_of_the_page_is_installed_verified_and_measured(reader, artefact) -> None:
    before, after = DATASET.split("\n## A class of its own")
    for name in ("dlib-resnet", "dlib-shape-predictor-5", "dlib-shape-predictor-68"):
        artefact(name)
    reader.follow([block for block in blocks(before) if block.fence == "python run"])
    reader.follow(blocks(after))
    (reader.folder / "data" / "studio" / "images" / "003.png").write_bytes(b"broken")
    with pytest.raises(AssertionError, match="damaged: 1"):
        reader.run("anonbench data verify studio --data-root data --manifest studio.sha256")


def test_the_protocol_of_the_page_is_installed_tested_and_run(reader, artefact) -> None:
    fetch(PROTOCOL, artefact)
    reader.follow(blocks(PROTOCOL))
    assert len(list((reader.folder / "runs" / "rank-k").glob("*.json"))) == 2


# ------------------------------------------------------------------------------------- tables
@pytest.mark.parametrize(
    ("page", "card"), [(JUDGE, JudgeCard), (DATASET, DatasetCard), (PROTOCOL, ProtocolCard)]
)
def test_every_field_of_a_card_is_explained(page: str, card: type[Card]) -> None:
    plain = {"name", "title", "summary", "extras"}
    # What all cards have is explained once, on the page of the judge or of the method.
    inherited = set(Card.model_fields) - plain if card is not JudgeCard else {"suite_config"}
    told = first_column(page, "field")
    assert set(card.model_fields) - plain - inherited <= told <= set(card.model_fields)


def test_every_kind_of_judge_is_in_the_table_with_its_function() -> None:
    table = rows(JUDGE, "`kind` | the class")
    told = {kind: names(row[1])[0] for row in table for kind in names(row[0])}
    assert told == {kind: ABILITIES.get(kind, DESCRIBES) for kind in get_args(JudgeKind)}


def test_the_kinds_that_protocols_take_are_those_of_their_cards() -> None:
    told = {name: names(row[1]) for row in rows(JUDGE, "protocol") for name in names(row[0])}
    cards = map(registry.protocols.card, registry.protocols.names())
    assert told == {card.name: list(card.judge_kinds) for card in cards if card.judge_kinds}


def test_the_entry_of_a_catalogue_is_one(tmp_path) -> None:
    (entry,) = (block.text for block in blocks(JUDGE) if block.fence == "toml")
    (tmp_path / "catalogue.toml").write_text(entry)
    (artefact,) = read_catalogue(tmp_path / "catalogue.toml").values()
    assert [mirror.scheme for part in artefact.parts for mirror in part.mirrors]


def test_what_a_dataset_says_and_what_protocols_need_of_it_is_complete() -> None:
    assert first_column(DATASET, "protocol") == set(registry.protocols.names())
    assert all(hasattr(ImageDataset, name) for name in first_column(DATASET, "function"))
    must = {names(row[0])[0] for row in rows(DATASET, "function") if row[1] == "yes"}
    assert must == set(ImageDataset.__abstractmethods__)


def test_sources_and_helpers_of_protocols_are_those_there_are() -> None:
    told = first_column(PROTOCOL, "source")
    assert told == {source for source in get_args(Source) if source != "misrecovered-again"} | {
        "bits"
    }
    for module, helpers in rows(PROTOCOL, "where"):
        (place,) = re.findall(r"`([\w.]+)`", module)
        assert all(hasattr(import_module(place), name) for name in names(helpers))
