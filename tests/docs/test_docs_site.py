"""The documentation's site: its pages, and, where mkdocs is installed, that it builds strictly."""

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from anonbench import registry

ROOT = Path(__file__).parents[2]


def build():
    spec = spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_method_and_protocol_has_a_page_from_its_card() -> None:
    pages = build().pages()
    for known, kind in ((registry.methods, "methods"), (registry.protocols, "protocols")):
        for name in known.names():
            card = known.card(name)
            page = pages[f"{kind}/{name}.md"]
            assert card.title in page and card.summary in page
            assert f"({name}.md)" in pages[f"{kind}/index.md"]
    assert "`bit-error-rate`" in pages["protocols/password.md"]


def test_links_of_generated_pages_lead_to_pages() -> None:
    pages = build().pages()
    there = {*pages, *(p.relative_to(ROOT / "docs").as_posix() for p in ROOT.glob("docs/**/*.md"))}
    for path, text in pages.items():
        for link in re.findall(r"\]\(([^)#:]+\.md)\)", text):
            assert os.path.normpath(Path(path).parent / link) in there, (path, link)


def test_what_tests_write_behind_a_language_is_not_shown() -> None:
    shown = build().on_page_markdown("```bash needs weights\nanonbench list methods\n```\n")
    assert shown == "```bash\nanonbench list methods\n```\n"


def test_lists_and_tables_need_no_empty_line_before_them_as_on_github() -> None:
    written = "Rules:\n- one\n  more\n- two\n```text\nb\n- c\n```\n| d |"
    shown = "Rules:\n\n- one\n  more\n- two\n```text\nb\n- c\n```\n\n| d |"
    assert build().on_page_markdown(written) == shown


def test_every_page_is_in_the_navigation() -> None:
    written = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    listed = re.findall(r"^ +- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert written | {"index.md", "methods/index.md", "protocols/index.md"} == set(listed)


def test_the_site_builds_strictly_and_asks_no_other_server(tmp_path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra [docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "methods", "protocols"))
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 0, done.stderr
    assert "ill-defined" in (tmp_path / "ledger" / "index.html").read_text(encoding="utf-8")
    loads = re.compile(r"""(?:src=["']?|<link[^>]+href=["']?|url\(["']?|@import ["'])https?://""")
    unread = re.compile(r"<p>(?:[^<]|<(?!/p>))*\n(?:- |\| ---)")  # a list or table taken for text
    for path in (*tmp_path.rglob("*.html"), *tmp_path.rglob("*.css")):
        page = path.read_text(encoding="utf-8")
        assert not loads.search(page) and not unread.search(page), path
