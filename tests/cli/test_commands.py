"""The command line as a user meets it: in a process of its own where that may matter."""

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ANONBENCH = [sys.executable, "-m", "anonbench"]


@pytest.fixture
def toy_environment(tmp_path: Path) -> dict[str, str]:
    """An empty cache, and the toy plug-ins installed."""
    return {
        **os.environ,
        "ANONBENCH_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(ROOT / "tests" / "toybench"),
        "TOYBENCH_COUNTER": str(tmp_path / "count.txt"),
        "COLUMNS": "200",
    }


@pytest.fixture
def program(toy_environment, tmp_path):
    """Runs the command with arguments, in a process of its own."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ANONBENCH, *arguments],
            env=toy_environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


@pytest.fixture
def empty(anonbench_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with an empty cache and a wide terminal, for commands in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


RUN = {
    "--method": "identity,blackout",
    "--dataset": "folder:folds=4:pairs=40",
    "--protocol": "lfw-tar:far=0.05:bootstrap=100",
    "--judge": "toy-recogniser",
    "--detector": "toy-detector",
    "--device": "cpu",
}


def run_arguments(people: Path, *flags: str, **others: str) -> tuple[str, ...]:
    """A run of toys, with other values for some of its options."""
    changes = {f"--{name.replace('_', '-')}": value for name, value in others.items()}
    options = RUN | {"--data-root": str(people)} | changes
    return "run", *chain.from_iterable(options.items()), *flags


def test_run_then_table(program, people: Path) -> None:
    done = program(*run_arguments(people))
    assert done.returncode == 0, done.stderr
    assert "tar" in done.stdout
    assert "find faces in originals" in done.stdout
    assert done.stderr == "", "quiet when not on a terminal"
    table = program("table", "runs", "--format", "latex")
    assert table.returncode == 0, table.stderr
    assert "Original" in table.stdout
    assert "Blackout" in table.stdout
    again = program(*run_arguments(people, "--json"))
    outcomes = json.loads(again.stdout)
    assert [outcome["computed"] for outcome in outcomes] == [False, False]
    assert all(Path(people.parent, outcome["path"]).is_file() for outcome in outcomes)


def test_two_processes_with_the_same_job_end_well_and_share_the_work(
    toy_environment, people: Path, tmp_path: Path
) -> None:
    command = [*ANONBENCH, *run_arguments(people)]
    options = {"env": toy_environment, "cwd": tmp_path, "text": True}
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    counted = (tmp_path / "count.txt").read_text().split()
    judged = 48 + 3 * 36  # originals, published ones of both methods, recovered ones of identity
    assert counted.count("detected") == counted.count("embedded") == judged
    assert len(list((tmp_path / "runs").rglob("*.json"))) == 2


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("method", "pixelat", ("no method named 'pixelat'", "Did you mean pixelate")),
        ("protocol", "lfw-tarr", ("no protocol named", "lfw-tar")),
        ("judge", "nobody", ("no judge named 'nobody'",)),
        ("dataset", "imagenet", ("no dataset named",)),
        ("method", "pixelate:blok=3", ("'blok=3'", "block")),
        ("method", "pixelate:block=many", ("must be int, not 'many'",)),
        ("protocol", "lfw-tar:rule=best", ("rule", "conservative")),
        ("protocol", "lfw-tar:far=0.0001", ("FAR", "lfw-tar:far=")),
        ("channel", "gif", ("channel 'gif'", "jpeg:Q")),
        ("device", "cuda:77", ("device 'cuda:77'",)),
        ("overwrite", "maybe", ("--overwrite maybe",)),
        ("seed", "x", ("--seed",)),
        ("suite", "none", ("no suite 'none'", "demo, paper")),
        ("data_root", "/nowhere", ("/nowhere",)),
    ],
)
def test_bad_input_is_one_clear_error(
    anonbench, empty, people: Path, option: str, value: str, words: tuple[str, ...]
) -> None:
    done = anonbench(*run_arguments(people, **{option: value}))
    assert done.code == 2, done.said
    assert "Traceback" not in done.said
    assert done.said.count("error:") == 1
    for word in words:
        assert word in done.said


def test_the_paper_suite_says_what_is_missing_and_computes_nothing(anonbench, empty) -> None:
    done = anonbench(
        *("run", "--method", "identity", "--protocol", "lfw-tar", "--suite", "paper"), "--offline"
    )
    assert done.code == 2
    assert "facenet-vggface2" in done.err
    assert not (empty / "runs").exists()


def test_offline_names_what_would_have_to_be_fetched(anonbench, empty) -> None:
    done = anonbench("run", "--method", "identity", "--protocol", "lfw-tar", "--offline")
    assert done.code == 2
    assert "anonbench fetch" in done.err
    for name in ("dlib-resnet", "fr-feature", "dlib-shape-predictor-68", "orl"):
        assert f"'{name}'" in done.err


@pytest.mark.parametrize("kind", ["methods", "protocols", "judges", "datasets", "weights"])
def test_list_shows_every_kind_as_text_and_json(anonbench, empty, kind) -> None:
    rows = json.loads(anonbench("list", kind, "--json").out)
    text = anonbench("list", kind).out
    assert rows
    assert all(row["name"] in text for row in rows)


def test_listing_imports_nothing_heavy(toy_environment) -> None:
    code = (
        "import sys; from anonbench.cli import main\n"
        "sys.argv[1:] = ['list', 'methods']; main()\n"
        "heavy = ('torch', 'numpy', 'PIL', 'dlib', 'typer', 'pydantic', 'rich')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=toy_environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "toy-tint" in done.stdout


def test_info_finds_a_name_in_every_registry_that_has_it(anonbench, empty) -> None:
    found = json.loads(anonbench("info", "dlib-resnet", "--json").out)
    assert set(found) == {"judges", "weights"}
    assert "128" in anonbench("info", "dlib-resnet").out
    missing = anonbench("info", "dlib-resnett")
    assert missing.code == 2
    assert "dlib-resnet" in missing.err


def test_doctor_gives_a_command_for_what_is_missing(anonbench, empty) -> None:
    findings = json.loads(anonbench("doctor", "--json").out)
    judge = next(f for f in findings if f["what"] == "judge dlib-resnet")
    assert not judge["ok"]
    assert judge["mend"] == "anonbench fetch dlib-resnet"
    assert any(f["ok"] and f["what"] == "method identity" for f in findings)


def test_every_option_is_documented_with_an_example() -> None:
    import typer.main

    from anonbench.cli.app import app

    def commands(group, path):
        for name, command in getattr(group, "commands", {}).items():
            yield from commands(command, (*path, name))
        if not hasattr(group, "commands"):
            yield path, group

    lacking = [
        f"{' '.join(path)} {parameter.name}"
        for path, command in commands(typer.main.get_command(app), ())
        for parameter in command.params
        if not any(mark in (getattr(parameter, "help", "") or "") for mark in ("e.g.", "Example"))
    ]
    assert lacking == []
