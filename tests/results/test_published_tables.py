"""The data files against the papers' own text, in the order in which the text has the numbers."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from anonbench import registry
from anonbench.errors import BadConfig
from anonbench.results.published import PublishedTable, published, table, tables

Cells = list[tuple[str, ...]]


def by_row(cells: Cells) -> list[str]:
    return [cell for row in cells for cell in row]


def by_column(cells: Cells) -> list[str]:
    return by_row(list(zip(*cells, strict=True)))


def baselines_by_column_then_ours(cells: Cells) -> list[str]:
    return by_column(cells[:-1]) + list(cells[-1])


def column_then_pairs_of_columns(cells: Cells) -> list[str]:
    """Table III: FID, then two models per kind of metric, both in one cell per method."""
    first = [row[0] for row in cells]
    pairs = range(1, len(cells[0]), 2)
    return first + [cell for at in pairs for row in cells for cell in row[at : at + 2]]


def ours_then_baselines_by_column(cells: Cells) -> list[str]:
    return list(cells[-1]) + by_column(cells[:-1])


# paper, text before the first cell, text after the last cell, order of the cells in between
PLACES: dict[str, tuple[str, str, str, Callable[[Cells], list[str]]]] = {
    "g2face-table-1": (
        "g2face", "AdaFace ↓ (WebFace12M)", "TABLE II ", baselines_by_column_then_ours,
    ),
    "g2face-table-2": (
        "g2face", "AdaFace \\downarrow (WebFace12M)", "anonymize the second",
        baselines_by_column_then_ours,
    ),
    "g2face-table-3": ("g2face", "FALCO [5]\tOurs\nFID", "TABLE IV", column_then_pairs_of_columns),
    "g2face-table-4": ("g2face", "Float MSE Error\n", "TABLE V ", by_row),
    "g2face-table-5": ("g2face", "METHODS ON THE CELEBA-HQ DATASET.\n\nOurs", "Method\t$MAE",
                       ours_then_baselines_by_column),
    "g2face-table-6": ("g2face", "Shape↓\tExp.↓\n", "nificant changes", by_row),
    "g2face-table-7": ("g2face", "Time \\ (s)", "networks [2], [4]", by_row),
    "drdpgan-table-1": ("dr-dpgan", "Algorithm\tAnonymization\tRecovery", "Table 1. ", by_row),
    "drdpgan-table-2": ("dr-dpgan", "\tMAE\tPSNR\n", "Table 2. ", by_row),
    "drdpgan-table-3": ("dr-dpgan", "Float Mean Squared Error\n", "4.3.3.", by_row),
}  # fmt: skip


def numbers(text: str) -> list[str]:
    """Values with a decimal point, with their ± where there is one."""
    plain = text.replace("\\pm", "±")
    return [" ".join(found.split()) for found in re.findall(r"\d+\.\d+(?:\s*±\s*\d+\.\d+)?", plain)]


def test_ten_tables_hold_201_values() -> None:
    assert sorted(tables()) == sorted(PLACES)
    assert len(published()) == 201


@pytest.mark.parametrize("table_id", PLACES)
def test_every_value_stands_in_the_paper_at_its_place(shared: Path, table_id: str) -> None:
    paper, before, after, order = PLACES[table_id]
    text = (shared / "reference" / "papers" / f"{paper}.txt").read_text(encoding="utf-8")
    assert text.count(before) == 1
    start = text.index(before) + len(before)
    printed = numbers(text[start : text.index(after, start)])
    assert order([row.cells for row in table(table_id).rows]) == printed


def test_values_agree_with_the_independent_transcription(shared: Path) -> None:
    entries = json.loads((shared / "reference" / "paper_tables.json").read_text())["entries"]
    theirs = sorted((e["value"], e.get("std") or 0.0, e.get("unit") or "") for e in entries)
    ours = sorted((v.value, v.std or 0.0, v.unit) for v in published())
    assert ours == theirs


def test_a_value_carries_all_that_belongs_to_it() -> None:
    value = next(
        v for v in published() if v.table == "g2face-table-1" and v.method == "g2face"
        and v.judge == "arcface-r100-ms1mv3"
    )  # fmt: skip
    assert (value.value, value.std, value.decimals) == (0.007, 0.005, 3)
    assert (value.protocol, value.dataset, value.metric) == ("lfw-tar", "lfw", "tar")
    assert value.white_box
    assert value.direction == "lower"


def test_table_1_fits_the_protocol_that_reproduces_it() -> None:
    card = registry.protocols.card("lfw-tar")
    first = table("g2face-table-1")
    assert first.id in card.published
    assert first.protocol == card.name
    assert {c.metric for c in first.columns} <= {m.name for m in card.metrics}
    assert tuple(c.judge for c in first.columns) == card.suites["paper"].judges
    assert first.rows[0].method in registry.methods.names()


def test_unknown_table_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadConfig, match=r"There are: .*g2face-table-1"):
        table("g2face-table1")


def test_a_row_with_a_missing_or_malformed_cell_is_an_error() -> None:
    first = table("drdpgan-table-1")

    def with_cells(*cells: str) -> PublishedTable:
        row = first.rows[0].model_copy(update={"cells": cells})
        return first.model_copy(update={"rows": (row,)})

    with pytest.raises(ValueError, match="shorter"):
        list(with_cells("7.56").values())
    with pytest.raises(ValueError, match="about 7"):
        list(with_cells("about 7", "92.36").values())
