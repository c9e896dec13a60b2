"""The log of losses."""

import json
from pathlib import Path

import pytest

from anonbench.errors import StoreError
from anonbench.training.log import Log


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_loss_is_averaged_over_the_steps_that_have_it(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", 3)
    assert log.add(1, {"g": 1.0, "r1": 6.0}) == {"g": 1.0, "r1": 6.0}
    assert log.add(2, {"g": 2.0}) == {"g": 1.5, "r1": 6.0}
    log.add(3, {"g": 6.0})
    assert log.add(4, {"g": 5.0}) == {"g": 5.0}
    (line,) = lines(tmp_path / "log.jsonl")
    assert (line["step"], line["losses"]) == (3, {"g": 3.0, "r1": 6.0})


def test_time_goes_on_after_a_resume(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", 1)
    log.resume(4, {"seconds": 100.0, "counts": {"g": 1}, "sums": {"g": 3.0}})
    log.add(5, {"g": 5.0})
    (line,) = lines(tmp_path / "log.jsonl")
    assert 100 <= line["seconds"] < 160
    assert line["losses"] == {"g": 4.0}


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"log\.jsonl cannot be written"):
        Log(tmp_path / "log.jsonl", 1).add(1, {"g": 1.0})
