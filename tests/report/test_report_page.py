"""The report as a file: what stands in it, without scripts and without a browser."""

import re
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from report_world import HOSTILE, world
from result_factory import make_metric, make_result

from anonbench import registry
from anonbench.errors import MissingArtefact
from anonbench.report.entries import conditions
from anonbench.report.grid import Column
from anonbench.report.model import Name
from anonbench.report.page import boards, build, faces, provenance, render
from anonbench.report.page.view import Board, Number
from anonbench.results import store

ROOT = Path(__file__).parents[2]
BASELINES = ROOT / "results" / "baselines"


class Outline(HTMLParser):
    """Tags with their attributes, and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render.html(build.build("All", world()))


def board_of(protocol: str, channel: str = "png") -> Board:
    found, _ = boards.build(world())
    return next(b for b in found if (b.protocol, b.channel) == (protocol, channel))


def number_of(board: Board, method: str, judge: str) -> Number:
    line = next(line for line in board.lines if line.method == method and line.runs)
    at = next(i for i, h in enumerate(board.headings) if h.judge == judge and h.metric == "tar")
    return line.cells[at]


# ------------------------------------------------------------------------------------- the numbers
def test_only_results_under_equal_conditions_share_a_board() -> None:
    results = store.load_folder(BASELINES)
    by_id = {f"run-{result.id[:12]}": conditions(result) for result in results}
    found, shown = boards.build(results)
    per_board: list[set[Name]] = [
        {by_id[anchor] for line in board.lines for anchor, _ in line.runs} for board in found
    ]
    assert all(len(inside) == 1 for inside in per_board)
    assert len({next(iter(inside)) for inside in per_board}) == len(found) > 20
    assert {i[:12] for i in shown} == {
        anchor[4:] for board in found for line in board.lines for anchor, _ in line.runs
    }


def test_the_float_channel_has_a_board_of_its_own_and_a_mark_at_its_number() -> None:
    float_ = board_of("lfw-tar", "float")
    assert [mark.text for mark in number_of(float_, "blur", "dlib-resnet").marks] == ["float"]
    assert number_of(board_of("lfw-tar"), "blur", "dlib-resnet").value == 0.30


@pytest.mark.parametrize(
    ("method", "judge", "marks"),
    [
        ("g2face", "dlib-resnet", ["white box"]),
        ("g2face", "fr-feature", ["few"]),
        ("blur", "dlib-resnet", ["few"]),
        ("pixelate", "dlib-resnet", []),
    ],
)
def test_what_weakens_a_number_stands_at_it(method: str, judge: str, marks: list[str]) -> None:
    board = board_of("lfw-tar")
    number = number_of(board, method, judge)
    assert [mark.text for mark in number.marks] == marks
    notes = {note.anchor: note.text for note in board.notes}
    assert all(notes[mark.note] for mark in number.marks)


def test_a_short_reason_stands_in_its_cell_and_a_long_one_in_a_note() -> None:
    board = board_of("lfw-tar")
    missing = number_of(board, "pixelate", "fr-feature")
    assert (missing.text, missing.value, missing.reason) == ("n/a", None, "")
    (mark,) = missing.marks
    assert mark.note in {n.anchor for n in board.notes if n.text.startswith("no image shows")}
    failed = number_of(board, "blackout", "dlib-resnet")
    assert (failed.text, failed.reason) == ("failed", "failed: broke")


def test_best_is_bold_and_neither_the_original_nor_a_failure_ranks() -> None:
    board = board_of("lfw-tar")
    ranks = {m: number_of(board, m, "dlib-resnet").rank for m in ("pixelate", "g2face", "blackout")}
    assert ranks == {"pixelate": 1, "g2face": 2, "blackout": 0}
    assert number_of(board, "identity", "fr-feature").rank == 0


def test_published_numbers_stand_apart_and_are_told_from_measured_ones() -> None:
    board = board_of("lfw-tar")
    printed = [h for h in board.headings if h.published]
    assert printed and all(h.group.startswith("published: ") for h in printed)
    assert any(not line.runs for line in board.lines)


# -------------------------------------------------------------------------------------- the file
def test_a_hostile_title_stays_text(page: str) -> None:
    outline = Outline(page)
    assert sum(tag == "script" for tag, _ in outline.tags) == 1
    assert HOSTILE in "".join(outline.text)


def test_the_page_loads_nothing_and_its_policy_names_its_own_script_and_style(page: str) -> None:
    outline = Outline(page)
    policy = next(a["content"] for t, a in outline.tags if "http-equiv" in a)
    assert policy and policy.startswith("default-src 'none'") and "unsafe" not in policy
    for tag in ("script", "style"):
        text = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert text
        named = re.search(rf"{tag}-src 'sha256-([^']+)'", policy)
        assert named and b64decode(named[1]) == sha256(text[1].encode()).digest()
    for tag, attributes in outline.tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))


def test_every_link_and_description_has_its_target_and_ids_are_unique(page: str) -> None:
    tags = Outline(page).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    wanted = {(a["href"] or "")[1:] for _, a in tags if "href" in a}
    wanted |= {
        a[n] or "" for _, a in tags for n in ("aria-describedby", "aria-labelledby") if n in a
    }
    assert wanted <= set(ids)


def test_without_scripts_every_number_is_there_and_headings_are_in_order(page: str) -> None:
    outline = Outline(page)
    assert {"lang": "en"} in [a for t, a in outline.tags if t == "html"]
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    values = {a["value"] for t, a in outline.tags if t == "data"}
    assert {"0.99", "0.05", "0.31", "20.5"} <= values
    hidden = {t for t, a in outline.tags if "hidden" in a}
    assert hidden == {"form", "button"}  # what only a script can serve


def test_colours_are_told_from_what_is_behind_them_in_both_themes() -> None:
    css = (Path(render.__file__).parent / "templates" / "page.css").read_text()
    pairs = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", css))
    behind = ("page", "raised", "quiet", "paper-page")
    wanted = [(text, on) for text in ("text", "muted", "link") for on in behind]
    wanted += [("warn-text", "warn-page"), ("paper-text", "paper-page"), ("paper-text", "page")]
    for theme in (0, 1):
        for text, on in wanted:
            first, second = (pairs[name].split(", ")[theme] for name in (text, on))
            assert contrast(first, second) >= 4.5, f"{text} on {on}: {first} {second}"


def contrast(first: str, second: str) -> float:
    """WCAG 2.2's contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# ------------------------------------------------------------------------------------ provenance
def test_commands_ask_for_the_settings_that_results_have() -> None:
    for result in store.load_folder(BASELINES):
        words = provenance.command(result).split()
        options = dict(zip(words[2::2], words[3::2], strict=True))
        method = registry.methods.parse(options["--method"].strip("'"), result.suite)
        protocol = registry.protocols.parse(options["--protocol"].strip("'"), result.suite)
        assert method.config == result.method.config, result.id
        assert protocol.config == result.protocol.config, result.id
        suite = protocol.suites[result.suite]
        assert options.get("--dataset", suite.dataset) == result.dataset.name
        asked = options.get("--judge", ",".join(suite.judges))
        assert asked == ",".join(judge.name for judge in result.judges)
        assert options.get("--limit") == (str(result.setup.limit) if result.setup.limit else None)


def test_an_older_result_is_listed_but_not_on_the_leaderboard() -> None:
    newer = make_result("blur", (make_metric(0.2),))
    older = newer.model_copy(update={"id": "0" * 64, "created": newer.created.replace(year=2025)})
    page = build.build("", [newer, older])
    assert [line.cells[0].value for board in page.boards for line in board.lines if line.runs] == [
        0.2
    ]
    assert [run.superseded for group in page.runs for run in group.runs] == [True, False]


# ----------------------------------------------------------------------------------------- faces
def test_faces_of_methods_that_run_stand_beside_the_reasons_of_others() -> None:
    import numpy as np

    grey = np.full((16, 16, 3), 128, np.uint8)

    def draw(method: str) -> list[Column]:
        if method.startswith("g2face"):
            raise MissingArtefact("No weights.", mend="anonbench fetch it")
        return [Column("Original", [grey, grey]), Column(method, [grey, None])]

    found = faces.build(world(), draw)
    assert found.titles == ("Original", "blur", "pixelate", "hostile", "blackout")
    assert len(found.rows) == 2 and found.rows[1][1] == ""
    assert found.failures == (("g2face", "No weights. anonbench fetch it"),)
    text = render.html(build.build("", world(), faces=found))
    assert text.count('class="face"') == 6 and "anonbench fetch it" in text


# --------------------------------------------------------------------------------------- command
def test_the_command_writes_one_file_without_faces(
    tmp_path: Path, anonbench: Callable[..., object]
) -> None:
    for result in world():
        store.save(result, {}, tmp_path / "runs")
    (tmp_path / "runs" / "broken.json").write_text("{")
    out = tmp_path / "new" / "report.html"
    done = anonbench("report", tmp_path / "runs", "--out", out, "--figure", "pareto,robustness")
    assert done.code == 0, done.err
    text = out.read_text()
    assert "broken.json" in done.err and "broken.json" in text
    assert "1 file could not be used" in text and "1 failed" in text
    assert 'class="face"' not in text
    for uri in re.findall(r'src="data:([^;]+);base64,([^"]+)"', text):
        assert uri[0] == "image/svg+xml" and b"<image" not in b64decode(uri[1])
    assert "Figures that these results have not" in text


def test_figures_are_drawings_without_any_photograph(
    tmp_path: Path, anonbench: Callable[..., object]
) -> None:
    out = tmp_path / "report.html"
    assert anonbench("report", BASELINES, "--out", out, "--figure", "bits").code == 0
    (uri,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', out.read_text())
    assert b"<svg" in b64decode(uri) and b"<image" not in b64decode(uri)
    assert out.stat().st_size < 5e6


@pytest.mark.parametrize(
    ("folder", "out", "figure", "said"),
    [
        ("empty", "a.html", "none", "no results"),
        ("missing", "a.html", "none", "no folder"),
        ("empty", ".", "none", "is a folder"),
        ("empty", "a.html", "rok", "no kind of figure named 'rok'"),
        ("full", "file/a.html", "none", "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    tmp_path: Path, anonbench: Callable[..., object], folder: str, out: str, figure: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    store.save(make_result(), {}, tmp_path / "full")
    done = anonbench("report", tmp_path / folder, "--out", tmp_path / out, "--figure", figure)
    assert done.code in (2, 3)
    assert done.err.startswith("error: ") and said in done.err
    assert not list(tmp_path.glob("*.html"))
