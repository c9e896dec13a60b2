"""docs/compared-methods.md: its methods, and its commands without the files that they need."""

import re
import shlex

import pytest
from pages import ROOT, commands

from anonbench import registry, weights
from anonbench.results.published import tables

PAGE = (ROOT / "docs" / "compared-methods.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _with_nothing(anonbench_home, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("line", commands(PAGE, "bash needs weights"))
def test_without_the_files_there_is_one_error_and_nothing_else(anonbench, line, tmp_path) -> None:
    done = anonbench(*shlex.split(line)[1:])
    status, printed = done.code, done.said
    assert status == 2, printed
    assert printed.count("error:") == 1
    assert "Weights that only you can bring" in printed
    assert "anonbench weights import" in printed
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("line", commands(PAGE, "bash needs files"))
def test_an_import_names_a_file_of_the_catalogue(anonbench, line) -> None:
    *_, name, file = line.split()
    taken = weights.catalogue()[name]
    assert taken.page
    named = {part.file for part in taken.parts} | set(re.findall(r"[\w.-]+\.\w+", taken.page))
    assert file in named
    done = anonbench(*shlex.split(line)[1:])
    status, printed = done.code, done.said
    assert status == 2
    assert f"There is no file {file}" in printed or "No such" in printed


def test_every_compared_method_is_on_the_page_with_its_files() -> None:
    imported = {line.split()[3] for line in commands(PAGE, "bash needs files")}
    compared = {row.method for entry in tables().values() for row in entry.rows}
    for name in compared & set(registry.methods.names()) - {"identity"}:
        assert f"| `{name}` |" in PAGE
        wanted = {
            one
            for one in registry.methods.parse(name, "paper").weights
            if weights.catalogue()[one].page and not one.startswith("drdpgan")  # nobody has them
        }
        assert wanted <= imported, name


def test_every_layout_and_setting_in_a_sentence_exists() -> None:
    for spec in re.findall(r"--layout ([\w-]+)", PAGE):
        assert spec in tables()
    for name in ("half", "one_fourth", "half-256", "one_fourth-256"):
        assert name in registry.methods.card("fit").checkpoints
