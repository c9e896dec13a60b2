"""`anonbench ledger`, its page in the docs, and whether its commands ask for what it says."""

import json
import re
import shlex
from pathlib import Path

import pytest
from result_factory import make_method, make_metric, make_result
from typer.testing import CliRunner

from anonbench import registry
from anonbench.cli.app import app
from anonbench.errors import UserError
from anonbench.report.ledger import COMMAND
from anonbench.results import store
from anonbench.results.ledger import BareMachine, ledger
from anonbench.results.published import published
from anonbench.results.record import DatasetRef, PluginRef, Result

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["ledger", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_page_is_what_its_command_writes(anonbench_home) -> None:
    page = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    program, name, *options = COMMAND.split(" > ")[0].split()
    assert (program, name, COMMAND.split(" > ")[1]) == ("anonbench", "ledger", "docs/ledger.md")
    assert COMMAND in page
    assert run(*options) == page, f"docs/ledger.md is old; write it anew: {COMMAND}"


def test_json_has_every_number_and_the_filter_those_of_a_status(anonbench_home, tmp_path) -> None:
    whole = json.loads(run(str(tmp_path), "--json"))
    assert whole["numbers"] == len(whole["cells"]) == sum(whole["counts"].values())
    part = json.loads(run(str(tmp_path), "--json", "--status", "needs"))
    assert part["counts"] == whole["counts"]
    assert part["cells"] == [cell for cell in whole["cells"] if cell["status"] == "needs"]
    assert all(cell["needs"] for cell in part["cells"])
    ill = [cell for cell in whole["cells"] if cell["status"] == "ill-defined"]
    assert all(any(why["concerns"] == "value" for why in cell["why"]) for cell in ill)


def test_the_text_names_commands_and_ends_with_the_counts(anonbench_home, tmp_path) -> None:
    printed = run(str(tmp_path), "--status", "runnable")
    assert "--method riddle --protocol complexity --suite paper" in " ".join(printed.split())
    found = json.loads(run(str(tmp_path), "--json"))["counts"]
    *_, last = printed.splitlines()
    assert all(f"{number} {status}" in last for status, number in found.items())


def test_an_absent_folder_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match="no folder nowhere"):
        run("nowhere")


def test_its_commands_ask_for_what_it_says_is_needed(anonbench_home, tmp_path) -> None:
    """What planning a run refuses to do without, against what the ledger says of the number."""
    lines = ledger(published(), (), BareMachine())
    first = {(x.printed.table, x.printed.method): x for x in reversed(lines) if x.command}
    asked = [x for x in first.values() if ".safetensors" not in x.command]
    assert len(asked) > 20
    for line in asked:
        if line.printed.protocol == "complexity":
            continue
        command = line.command.replace("--data-root DIR", f"--data-root {tmp_path}")
        message = refusal(command)
        said = set(re.findall(r"weights import (\S+)", message))
        said |= set(re.findall(r"The dataset '(.+?)' is not to be found", message))
        assert said == {need.name for need in line.needs}, line.command


def refusal(command: str) -> str:
    program, *arguments = shlex.split(command)
    assert program == "anonbench"
    with pytest.raises(UserError) as caught:
        CliRunner().invoke(app, [*arguments, "--offline"], catch_exceptions=False)
    return str(caught.value)


def test_a_measurement_stands_beside_the_papers_number(anonbench_home, tmp_path) -> None:
    path = store.save(complexity_of_ciagan(), {}, tmp_path)
    whole = json.loads(run(str(tmp_path), "--json", "--fresh"))
    (cell,) = (cell for cell in whole["cells"] if cell["status"] == "measured")
    assert (cell["method"], cell["metric"], cell["value"]) == ("ciagan", "parameters", 11.801)
    assert cell["ours"]["delta"] == pytest.approx(0.000123)
    assert cell["ours"]["result"][:8] in path.stem
    doubtful = next(x for x in whole["cells"] if x["method"] == "ciagan" and x["metric"] == "flops")
    assert (doubtful["status"], doubtful["ours"]["value"]) == ("ill-defined", 3.28)
    printed = run(str(tmp_path), "--status", "measured")
    assert "+0.000" in printed and "channel" not in printed


def complexity_of_ciagan() -> Result:
    """What `anonbench run --method ciagan --protocol complexity --suite paper` writes."""
    protocol = registry.protocols.parse("complexity", "paper")
    method = registry.methods.parse("ciagan", "paper")
    metrics = tuple(
        make_metric(value, "", name=name, unit=unit, std=None, std_of="")
        for name, value, unit in (("parameters", 11.801123, "M"), ("flops", 3.28, "G"))
    )
    return make_result(
        make_method("ciagan", "CIAGAN", version=method.version, config=method.config),
        metrics,
        suite="paper",
        protocol=PluginRef(name=protocol.name, version=protocol.version, config=protocol.config),
        dataset=DatasetRef(name="none", version=1, title="No images", manifest="a" * 64, files=0),
        judges=(),
    )
