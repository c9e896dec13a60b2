"""Tables as a PDF: whole, with what went wrong named, and nothing left behind."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from result_factory import make_method, make_metric, make_result

from anonbench.errors import TypesettingFailed
from anonbench.report import paper_layout
from anonbench.report.document import document
from anonbench.report.typeset import ENGINES, Typeset, find_engine, typeset
from anonbench.results import published, store

HELLO = "\\documentclass{article}\n\\begin{document}\n%s\n\\end{document}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    store.save(make_result(make_method("identity", "Original"), (make_metric(0.956),)), {}, results)
    store.save(make_result("blur"), {}, results)
    return results


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def compiled() -> Callable[[str], Typeset]:
    """Compiles what should compile; skips where LaTeX, or a package, is not installed."""

    def run(source: str) -> Typeset:
        try:
            return typeset(source)
        except TypesettingFailed as error:
            if "apt-get" not in error.mend:
                raise
            pytest.skip(str(error))

    return run


@pytest.fixture
def no_latex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the whole PATH."""
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    return empty


def fake(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)


def words(pdf: bytes, place: Path) -> str:
    """The text of a PDF, by poppler."""
    if not shutil.which("pdftotext"):
        pytest.skip("no pdftotext: apt-get install poppler-utils")
    place.write_bytes(pdf)
    done = subprocess.run(["pdftotext", place, "-"], capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize("kind", ["article", "ieeetran"])
def test_all_tables_of_the_papers_are_in_the_pdf_and_none_sticks_out(
    compiled: Callable[[str], Typeset], scratch: Path, tmp_path: Path, kind: str
) -> None:
    tables = [paper_layout.build([], paper) for paper in published.tables().values()]
    made = compiled(document(tables, kind, "Tables of results"))
    assert made.overfull == ()
    assert list(scratch.iterdir()) == []
    text = words(made.pdf, tmp_path / "t.pdf")
    assert "tables of results" in text.lower()
    captions = re.findall(r"Table (\d+):" if kind == "article" else r"TABLE ([IVX]+)\s", text, re.M)
    assert len(set(captions)) == len(tables) == 10
    for value in published.published():
        assert f"{value.value:.{value.decimals}f}".lstrip("-") in text


def test_the_list_has_every_table_once() -> None:
    tables = [paper_layout.build([], paper) for paper in published.tables().values()]
    source = document(tables, "article", "")
    assert "table*" not in source  # which LaTeX would drop where it may not float
    assert source.count(r"\caption[") == len(tables)
    assert r"\caption[{g2face-table-1: After G$^2$Face (TIFS 2024), Table I (" in source


def test_one_command_writes_all_tables(
    folder: Path, tmp_path: Path, anonbench: Callable[..., Any], scratch: Path
) -> None:
    out = tmp_path / "tables.pdf"
    given = ("table", folder, "--layout", "all", "--output", out, "--format")
    done = anonbench(*given, "pdf")
    if "apt-get" in done.err:
        pytest.skip(done.err)
    assert (done.code, done.out, done.err) == (0, f"{out}: 11 tables\n", "")
    assert out.read_bytes().startswith(b"%PDF")
    assert anonbench(*given, "latex", "--document", "ieeetran").code == 0
    source = out.read_text(encoding="utf-8")
    assert source.startswith(r"\documentclass[journal]{IEEEtran}")
    assert source.count(r"\label{tab:") == 11
    markdown = anonbench("table", folder, "--layout", "all", "--format", "markdown").out
    assert all(f"Table {paper.number} (" in markdown for paper in published.tables().values())


def test_without_latex_the_package_and_the_other_way_are_named(
    folder: Path, tmp_path: Path, anonbench: Callable[..., Any], no_latex: Path
) -> None:
    out = tmp_path / "tables.pdf"
    done = anonbench("table", folder, "--format", "pdf", "--output", out)
    assert done.code == 2
    assert "apt-get install --no-install-recommends texlive-latex-recommended" in done.err
    assert "--format latex --document article" in done.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--format", "pdf"), "A PDF needs a file."),
        (("--format", "html", "--document", "article"), "Documents are LaTeX or PDF."),
        (("--layout", "all", "--metric", "tar"), "already says which metrics"),
    ],
)
def test_options_that_do_not_fit_are_explained(
    folder: Path, anonbench: Callable[..., Any], given: tuple[str, ...], expected: str
) -> None:
    done = anonbench("table", folder, *given)
    assert done.code == 2
    assert expected in done.err


def test_any_engine_will_do_and_none_may_start_programs(no_latex: Path) -> None:
    for engine in reversed(ENGINES):
        fake(no_latex, engine, 'echo "$@" > tables.log; echo made > tables.pdf')
        assert find_engine() == engine
        assert typeset("").pdf == b"made\n"
        assert "--untrusted" in ENGINES[engine] or "no-shell-escape" in " ".join(ENGINES[engine])


def test_an_engine_that_fails_without_a_log_is_told(no_latex: Path) -> None:
    fake(no_latex, "pdflatex", "echo no format file >&2; exit 1")
    with pytest.raises(TypesettingFailed, match=r"made no PDF.*no format file"):
        typeset("")


def test_errors_name_the_line_and_what_stands_there(
    compiled: Callable[[str], Typeset], scratch: Path
) -> None:
    with pytest.raises(TypesettingFailed) as error:
        compiled(HELLO % r"one \undefined two")
    assert "stopped at line 3: Undefined control sequence." in error.value.what
    assert r"one \undefined" in error.value.why
    assert list(scratch.iterdir()) == []


def test_a_missing_package_is_named(compiled: Callable[[str], Typeset]) -> None:
    compiled(HELLO % "something")  # skips where nothing compiles
    with pytest.raises(TypesettingFailed, match=r"no-such\.sty.*texlive-latex-recommended"):
        typeset(HELLO.replace("\n", "\\usepackage{no-such}\n", 1))


def test_what_sticks_out_is_told_from_what_nobody_sees(
    compiled: Callable[[str], Typeset],
) -> None:
    wide = r"\noindent\rule{\dimexpr\textwidth+%s}{1pt}"
    assert compiled(HELLO % (wide % "0.9pt")).overfull == ()
    (told,) = compiled(HELLO % (wide % "20pt")).overfull
    assert "20.0pt too wide" in told
    assert "line" in told


def test_a_document_starts_no_program(compiled: Callable[[str], Typeset], tmp_path: Path) -> None:
    compiled(HELLO % rf"\immediate\write18{{touch {tmp_path}/started}}x")
    assert not (tmp_path / "started").exists()
