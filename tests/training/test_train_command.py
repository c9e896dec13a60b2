"""`anonbench train` as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toybench
from toybench.training import SIGNAL, WEIGHTS
from training_world import METHOD, checkpoint_names, trace_of
from typer.testing import CliRunner

from anonbench.cli.app import app
from anonbench.errors import BadConfig

TOYBENCH = str(Path(toybench.__file__).parents[1])


@pytest.fixture
def arguments(tmp_path: Path, crops_folder: Path):
    def make(out: str, *more: str) -> list[str]:
        return [
            *("train", METHOD, "--config", "demo", "--data-root", str(tmp_path)),
            *("--crops", str(crops_folder), "--out", str(tmp_path / out), "--device", "cpu"),
            *more,
        ]

    return make


def in_a_process(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": TOYBENCH, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300
    )


def test_train_and_resume(arguments, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, arguments("a", "--steps", "7"))
    assert done.exit_code == 0, done.output
    last = tmp_path / "a" / "checkpoints" / "step-00000007.pt"
    assert done.stdout == f"{last}\n"
    assert done.stderr == "", "quiet when not on a terminal"
    with pytest.raises(BadConfig, match="--resume"):
        CliRunner().invoke(app, arguments("a"), catch_exceptions=False)
    assert CliRunner().invoke(app, arguments("a", "--resume")).exit_code == 0
    assert [step for step, _ in trace_of(tmp_path / "a")] == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_writes_a_checkpoint(arguments, tmp_path: Path, monkeypatch, number) -> None:
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    CliRunner().invoke(app, arguments("whole"))
    monkeypatch.setenv(SIGNAL, f"3:{number}")
    done = CliRunner().invoke(app, arguments("a"))
    assert done.exit_code == 130, done.output
    assert "Stopped at step 4 of 12" in done.stderr
    assert "--resume" in done.stderr
    assert checkpoint_names(tmp_path / "a") == ["step-00000004.pt"]
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    CliRunner().invoke(app, arguments("a", "--resume"))
    assert trace_of(tmp_path / "a") == trace_of(tmp_path / "whole")


def test_a_killed_run_goes_on_from_its_last_checkpoint(arguments, tmp_path: Path) -> None:
    command = ("-m", "anonbench", *arguments("a"))
    killed = in_a_process(*command, **{SIGNAL: f"8:{signal.SIGKILL}"})
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint_names(tmp_path / "a") == ["step-00000005.pt"]
    assert [step for step, _ in trace_of(tmp_path / "a")] == [2, 4, 6, 8]
    assert CliRunner().invoke(app, arguments("a", "--resume")).exit_code == 0
    CliRunner().invoke(app, arguments("whole"))
    assert trace_of(tmp_path / "a") == trace_of(tmp_path / "whole")


def test_two_processes_share_the_work(arguments, tmp_path: Path) -> None:
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = (*launch, "-m", "anonbench", *arguments("two"))
    both = in_a_process(*command, **{WEIGHTS: str(tmp_path)})
    assert both.returncode == 0, both.stderr
    assert both.stdout == f"{tmp_path / 'two' / 'checkpoints' / 'step-00000012.pt'}\n"
    CliRunner().invoke(app, arguments("one"))
    two, one = trace_of(tmp_path / "two"), trace_of(tmp_path / "one")
    assert [step for step, _ in two] == [step for step, _ in one]
    assert two != one, "each process normalises its own half"
    for (_, ours), (_, theirs) in zip(two, one, strict=True):
        assert ours["l1"] == pytest.approx(theirs["l1"], rel=0.05)
    first, second = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in range(2))
    for module, parameters in first.items():
        for name, parameter in parameters.items():
            assert torch.equal(parameter, second[module][name]), f"{module}.{name}"


def test_help_has_an_example_for_every_option() -> None:
    text = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "300"}).stdout
    for option in ("config", "data-root", "out", "crops", "resume", "device", "steps"):
        assert f"Example: --{option}" in text


def test_the_configuration_is_kept_beside_the_run(arguments, tmp_path: Path) -> None:
    CliRunner().invoke(app, arguments("a", "--steps", "2"))
    kept = json.loads((tmp_path / "a" / "config.json").read_text())
    assert kept["run"]["steps"] == 2
    assert kept["data"]["sources"][0]["dataset"] == "folder"
    assert kept["training"]["poison_loss_at"] == -1
