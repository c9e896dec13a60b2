"""`anonbench table` and `anonbench schema` as a user calls them."""

import subprocess
import sys
from pathlib import Path

import pytest
from result_factory import make_method, make_metric, make_result

from anonbench.cli import main
from anonbench.cli.app import app
from anonbench.results import store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    store.save(make_result(make_method("identity", "Original"), (make_metric(0.956),)), {}, results)
    store.save(make_result("blur"), {}, results)
    return results


def run(*arguments: object) -> int:
    """Exit status of the command line, through its own error handling."""
    sys.argv = ["anonbench", *map(str, arguments)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(autouse=True)
def _keep_argv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        ("text", "0.956 ± 0.010"),
        ("latex", r"Original & 0.956 $\pm$ 0.010"),
        ("markdown", "| Original | 0.956 ± 0.010 |"),
        ("html", '<th scope="row">Original</th><td>0.956 ± 0.010</td>'),
        ("csv", ",0.956,"),
        ("csv-table", ",Original,0.956 ± 0.010,"),
    ],
)
def test_every_format_goes_to_stdout_or_to_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str], format_: str, expected: str
) -> None:
    assert run("table", folder, "--format", format_) == 0
    printed = capsys.readouterr().out
    assert expected in printed
    target = folder.parent / "table.out"
    assert run("table", folder, "--format", format_, "--output", target) == 0
    assert target.read_text(encoding="utf-8") == printed
    assert capsys.readouterr().out == ""


def test_no_published_leaves_the_papers_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("table", folder, "--no-published")
    assert "RiDDLE" not in capsys.readouterr().out
    run("table", folder)
    assert "RiDDLE" in capsys.readouterr().out


def test_empty_folder_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("table", tmp_path) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"There are no results in {tmp_path}." in shown.err
    assert "anonbench run" in shown.err


def test_other_protocol_is_answered_with_what_there_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("table", folder, "--protocol", "utility") == 2
    shown = capsys.readouterr().err
    assert f"no results of utility in {folder}" in shown
    assert "It has results of: lfw-tar" in shown


def test_broken_file_is_named_on_stderr_and_the_others_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.json").write_text('{"schema_version": 1, ')
    assert run("table", folder) == 0
    shown = capsys.readouterr()
    assert "broken.json is damaged" in shown.err
    assert "0.956 ± 0.010" in shown.out


def test_unknown_layout_is_answered_with_the_known_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("table", folder, "--layout", "g2face-1") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "There is no published table 'g2face-1'." in shown
    for known in (
        *(f"drdpgan-table-{n}" for n in "123"),
        *(f"g2face-table-{n}" for n in "1234567"),
    ):
        assert known in shown


def test_layout_of_several_protocols_is_one_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, metric in (("celebahq-similarity", "cosine"), ("recovery", "mae")):
        result = make_result("blur", (make_metric(0.25, name=metric),))
        protocol = result.protocol.model_copy(update={"name": name})
        store.save(result.model_copy(update={"protocol": protocol, "id": name}), {}, tmp_path)
    assert run("table", tmp_path, "--layout", "drdpgan-table-2", "--format", "latex") == 0
    shown = capsys.readouterr().out
    assert shown.count(r"\label{tab:drdpgan-table-2}") == 1
    assert r"Blur & 0.250 $\pm$ 0.010" in shown
    assert r"\underline{0.159} & \underline{0.782} & 0.079 & \underline{20.231}" in shown
    run("table", tmp_path, "--layout", "drdpgan-table-2", "--no-published")
    assert "20.231" not in capsys.readouterr().out


def test_layout_and_metric_exclude_each_other(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("table", folder, "--layout", "g2face-table-1", "--metric", "auc") == 2
    assert "Leave --metric or --layout out" in capsys.readouterr().err


def test_unwritable_output_is_one_clear_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("table", folder, "--output", folder / "no" / "such" / "t.tex") == 3
    assert "cannot be written" in capsys.readouterr().err


def test_each_protocol_gets_its_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blur = make_result("blur")
    protocol = blur.protocol.model_copy(update={"name": "lfw-tar-allpairs"})
    store.save(blur.model_copy(update={"protocol": protocol, "id": "f" * 64}), {}, folder)
    run("table", folder, "--format", "latex")
    shown = capsys.readouterr().out
    assert r"\label{tab:lfw-tar}" in shown
    assert r"\label{tab:lfw-tar-allpairs}" in shown


def test_schema_prints_the_committed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("schema") == 0
    assert capsys.readouterr().out == store.schema()


def test_table_and_schema_load_neither_torch_nor_numpy(folder: Path) -> None:
    code = (
        "import sys\n"
        "from anonbench.cli.app import app\n"
        f"app(['table', {str(folder)!r}], standalone_mode=False)\n"
        "app(['schema'], standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'PIL', 'requests'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_option_has_an_example() -> None:
    command = next(
        c for c in app.registered_commands if c.callback and c.callback.__name__ == "table"
    )
    assert command.callback is not None
    import inspect

    for parameter in inspect.signature(command.callback, eval_str=True).parameters.values():
        assert "e.g. `" in parameter.annotation.__metadata__[0].help
