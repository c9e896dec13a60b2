"""docs/compared-methods.md: every command of it is run, with an empty cache."""

import re
import shlex
from pathlib import Path

import pytest

from anonbench import registry, weights
from anonbench.results.published import tables

PAGE = (Path(__file__).parents[2] / "docs" / "compared-methods.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\S+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def commands(kind: str) -> list[str]:
    found = [text for language, how, text in BLOCK.findall(PAGE) if (language, how) == kind]
    return [line for text in found for line in text.splitlines()]


@pytest.fixture(autouse=True)
def _with_nothing(anonbench_home, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def arguments(line: str) -> list[str]:
    program, *others = shlex.split(line)
    assert program == "anonbench"
    return others


def test_what_needs_no_weights_works_as_the_page_says(anonbench) -> None:
    lines, printed = 0, ""
    for language, how, text in BLOCK.findall(PAGE):
        if (language, how) == ("bash", ""):
            for line in text.splitlines():
                done = anonbench(*arguments(line))
                status, printed = done.code, done.said
                assert status == 0, printed
                lines += 1
        elif language == "text":
            assert all(line in printed for line in text.splitlines()), printed
    assert lines >= 4


@pytest.mark.parametrize("line", commands(("bash", "needs weights")))
def test_without_the_files_there_is_one_error_and_nothing_else(anonbench, line, tmp_path) -> None:
    done = anonbench(*arguments(line))
    status, printed = done.code, done.said
    assert status == 2, printed
    assert printed.count("error:") == 1
    assert "Weights that only you can bring" in printed
    assert "anonbench weights import" in printed
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("line", commands(("bash", "import")))
def test_an_import_names_a_file_of_the_catalogue(anonbench, line) -> None:
    *_, name, file = line.split()
    taken = weights.catalogue()[name]
    assert taken.page
    named = {part.file for part in taken.parts} | set(re.findall(r"[\w.-]+\.\w+", taken.page))
    assert file in named
    done = anonbench(*arguments(line))
    status, printed = done.code, done.said
    assert status == 2
    assert f"There is no file {file}" in printed or "No such" in printed


def test_every_compared_method_is_on_the_page_with_its_files() -> None:
    imported = {line.split()[3] for line in commands(("bash", "import"))}
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
