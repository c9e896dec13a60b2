"""docs/gate.md: the workflow that it shows. Its commands: tests/docs/test_page_commands.py."""

import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from pages import ROOT, blocks, commands, understood

from anonbench import registry

PAGE = ROOT / "docs" / "gate.md"
WORKFLOW = next(block.text for block in blocks(PAGE) if block.language == "yaml")


@pytest.fixture(autouse=True)
def _beside_the_results(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")


def steps() -> list[str]:
    return re.findall(r"run: (.*)$", WORKFLOW, re.MULTILINE)


def test_what_the_workflow_runs_exists_and_measures_as_the_baseline_was() -> None:
    ours = [step.split(" >> ")[0] for step in steps() if step.startswith("anonbench")]
    measured = commands(PAGE, "bash needs models")
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


def test_the_last_step_writes_the_whole_table(tmp_path) -> None:
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
