"""docs/gate.md: its commands are run, and those that need models are at least understood."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from anonbench import registry
from anonbench.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\S+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
BLOCKS = BLOCK.findall(PAGE)
WORKFLOW = next(text for _, name, text in BLOCKS if name == ".github/workflows/gate.yml")


@pytest.fixture(autouse=True)
def _beside_the_results(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")


def test_every_command_ends_and_prints_as_the_page_says(anonbench, tmp_path) -> None:
    lines, printed = 0, ""
    for language, how, text in BLOCKS:
        if how.startswith("exit "):
            for line in text.splitlines():
                done = anonbench(*shlex.split(line)[1:])
                status, printed = done.code, done.said
                assert status == int(how.removeprefix("exit ")), printed
                lines += 1
        elif (language, how) == ("text", ""):
            assert all(line in printed for line in text.splitlines()), printed
        elif language == "toml":
            (tmp_path / how).write_text(text)
    assert lines == PAGE.count("```bash exit")


def understood(line: str) -> dict[str, object]:
    """The options of an anonbench command, read by its own parser without running it."""
    program, name, *arguments = shlex.split(line)
    assert program == "anonbench"
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    return dict(command.make_context(name, arguments).params)


def steps() -> list[str]:
    return re.findall(r"run: (.*)$", WORKFLOW, re.MULTILINE)


def test_what_the_workflow_runs_exists_and_measures_as_the_baseline_was() -> None:
    ours = [step.split(" >> ")[0] for step in steps() if step.startswith("anonbench")]
    measured = [t for _, how, t in BLOCKS if how == "measure" for t in t.splitlines()]
    assert [line.split()[1] for line in ours] == ["fetch", "run", "check", "check"]
    once, again = (understood(lines[1]) for lines in (measured, ours))
    assert {key for key in once if once[key] != again[key]} == {"output"}
    for name in ("lfw-tar", "celebahq-similarity"):
        assert "demo" in registry.protocols.card(name).suites
    assert understood(measured[0]) == understood(ours[0])
    for line in ours[2:]:
        options = understood(line)
        assert (options["baseline"], options["results"]) == (once["output"], again["output"])


def test_the_extras_of_the_workflow_exist() -> None:
    (extras,) = re.findall(r"anonbench\[([\w,]+)\]", WORKFLOW)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(known["optional-dependencies"])


def test_the_last_step_writes_the_whole_table(anonbench, tmp_path) -> None:
    """As GitHub runs a step: by bash, with its exit status."""
    last = steps()[-1]
    assert WORKFLOW.split(last)[0].rstrip().endswith("- if: always()\n        run:")
    written = tmp_path / "summary.md"
    program = f"{shlex.quote(sys.executable)} -m anonbench"
    place = "results/baselines/celebahq-similarity"
    line = last.replace("anonbench check", f"{program} check").replace(
        "baseline baseline", f"baseline {place}"
    )
    line = line.replace("--results runs", f"--results {place}").replace(
        "--tolerance gate.toml ", ""
    )
    done = subprocess.run(
        ["bash", "-e", "-c", line],
        cwd=tmp_path,
        env={"GITHUB_STEP_SUMMARY": str(written), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert written.read_text().count("| same |") > 10
