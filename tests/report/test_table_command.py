"""`anonbench table` and `anonbench schema` as a user calls them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from result_factory import make_method, make_metric, make_result

from anonbench.cli.app import app
from anonbench.results import store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    store.save(make_result(make_method("identity", "Original"), (make_metric(0.956),)), {}, results)
    store.save(make_result("blur"), {}, results)
    return results


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
    folder: Path, anonbench: Callable[..., Any], format_: str, expected: str
) -> None:
    done = anonbench("table", folder, "--format", format_)
    assert done.code == 0
    printed = done.out
    assert expected in printed
    target = folder.parent / "table.out"
    done = anonbench("table", folder, "--format", format_, "--output", target)
    assert done.code == 0
    assert target.read_text(encoding="utf-8") == printed
    assert done.out == ""


def test_no_published_leaves_the_papers_out(folder: Path, anonbench: Callable[..., Any]) -> None:
    done = anonbench("table", folder, "--no-published")
    assert "RiDDLE" not in done.out
    done = anonbench("table", folder)
    assert "RiDDLE" in done.out


def test_empty_folder_is_one_clear_error(tmp_path: Path, anonbench: Callable[..., Any]) -> None:
    done = anonbench("table", tmp_path)
    assert done.code == 2
    shown = done
    assert shown.out == ""
    assert f"There are no results in {tmp_path}." in shown.err
    assert "anonbench run" in shown.err


def test_other_protocol_is_answered_with_what_there_is(
    folder: Path, anonbench: Callable[..., Any]
) -> None:
    done = anonbench("table", folder, "--protocol", "utility")
    assert done.code == 2
    shown = done.err
    assert f"no results of utility in {folder}" in shown
    assert "It has results of: lfw-tar" in shown


def test_broken_file_is_named_on_stderr_and_the_others_are_printed(
    folder: Path, anonbench: Callable[..., Any]
) -> None:
    (folder / "broken.json").write_text('{"schema_version": 1, ')
    done = anonbench("table", folder)
    assert done.code == 0
    shown = done
    assert "broken.json is damaged" in shown.err
    assert "0.956 ± 0.010" in shown.out


def test_unknown_layout_is_answered_with_the_known_ones(
    folder: Path, anonbench: Callable[..., Any]
) -> None:
    done = anonbench("table", folder, "--layout", "g2face-1")
    assert done.code == 2
    shown = " ".join(done.err.split())
    assert "There is no published table 'g2face-1'." in shown
    for known in (
        *(f"drdpgan-table-{n}" for n in "123"),
        *(f"g2face-table-{n}" for n in "1234567"),
    ):
        assert known in shown


def test_layout_of_several_protocols_is_one_table(
    tmp_path: Path, anonbench: Callable[..., Any]
) -> None:
    for name, metric in (("celebahq-similarity", "cosine"), ("recovery", "mae")):
        result = make_result("blur", (make_metric(0.25, name=metric),))
        protocol = result.protocol.model_copy(update={"name": name})
        store.save(result.model_copy(update={"protocol": protocol, "id": name}), {}, tmp_path)
    done = anonbench("table", tmp_path, "--layout", "drdpgan-table-2", "--format", "latex")
    assert done.code == 0
    shown = done.out
    assert shown.count(r"\label{tab:drdpgan-table-2}") == 1
    assert r"Blur & 0.250 $\pm$ 0.010" in shown
    assert r"\underline{0.159} & \underline{0.782} & 0.079 & \underline{20.231}" in shown
    done = anonbench("table", tmp_path, "--layout", "drdpgan-table-2", "--no-published")
    assert "20.231" not in done.out


def test_layout_and_metric_exclude_each_other(folder: Path, anonbench: Callable[..., Any]) -> None:
    done = anonbench("table", folder, "--layout", "g2face-table-1", "--metric", "auc")
    assert done.code == 2
    assert "Leave --metric or --layout out" in done.err


def test_unwritable_output_is_one_clear_error(folder: Path, anonbench: Callable[..., Any]) -> None:
    done = anonbench("table", folder, "--output", folder / "no" / "such" / "t.tex")
    assert done.code == 3
    assert "cannot be written" in done.err


def test_each_protocol_gets_its_table(folder: Path, anonbench: Callable[..., Any]) -> None:
    blur = make_result("blur")
    protocol = blur.protocol.model_copy(update={"name": "lfw-tar-allpairs"})
    store.save(blur.model_copy(update={"protocol": protocol, "id": "f" * 64}), {}, folder)
    done = anonbench("table", folder, "--format", "latex")
    shown = done.out
    assert r"\label{tab:lfw-tar}" in shown
    assert r"\label{tab:lfw-tar-allpairs}" in shown


def test_schema_prints_the_committed_one(anonbench: Callable[..., Any]) -> None:
    done = anonbench("schema")
    assert done.code == 0
    assert done.out == store.schema()


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
