import json
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from result_factory import make_method, make_metric, make_result

from anonbench.errors import StoreError, UserError
from anonbench.results import store
from anonbench.values import Scores

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scores() -> dict[str, Scores]:
    return {
        "dlib-resnet": {"distance": np.linspace(0, 1, 7, dtype=np.float32), "same": np.eye(2) > 0},
        "fr-feature": {"ids": np.array(["a/1.png", "b/2.png"])},
    }


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_saved_result_and_scores_come_back_as_they_were(
    tmp_path: Path, scores: dict[str, Scores]
) -> None:
    result = make_result()
    path = store.save(result, scores, tmp_path)
    assert store.load(path) == result.model_copy(update={"scores": f"scores/{path.stem}.npz"})
    back = store.load_scores(path)
    assert {j: set(named) for j, named in back.items()} == {
        j: set(named) for j, named in scores.items()
    }
    for judge, named in scores.items():
        for name, array in named.items():
            np.testing.assert_array_equal(back[judge][name], array)
            assert back[judge][name].dtype == array.dtype


def test_file_name_tells_protocol_method_dataset_seed_and_id(tmp_path: Path) -> None:
    method = make_method("pixelate", config={"block": 16, "mode": "a/b c"})
    result = make_result(method, seed=3)
    path = store.save(result, {}, tmp_path)
    expected = f"lfw-tar/pixelate-block=16-mode=a-b-c-orl-s3-{result.id[:8]}.json"
    assert files(tmp_path) == [expected]
    assert path == tmp_path / expected


def test_saving_the_same_result_again_leaves_one_file(
    tmp_path: Path, scores: dict[str, Scores]
) -> None:
    store.save(make_result(), scores, tmp_path)
    store.save(make_result(), scores, tmp_path)
    assert len(files(tmp_path)) == 2


def test_full_disk_is_one_error_and_leaves_nothing(
    tmp_path: Path, scores: dict[str, Scores], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full_at_second_file(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_at_second_file)
    with pytest.raises(StoreError, match="No space left on device"):
        store.save(make_result(), scores, tmp_path)
    assert files(tmp_path) == []


def test_full_disk_keeps_the_earlier_result(
    tmp_path: Path, scores: dict[str, Scores], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.save(make_result(), scores, tmp_path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError):
        store.save(make_result(wall_seconds=9.0, id=make_result().id), scores, tmp_path)
    assert path.read_bytes() == before
    assert len(files(tmp_path)) == 2


def test_python_objects_are_refused_as_scores(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="judge/bad"):
        store.save(make_result(), {"judge": {"bad": np.array([{}])}}, tmp_path)
    assert files(tmp_path) == []


def test_find_reads_only_files_named_after_the_id(tmp_path: Path) -> None:
    wanted = make_result("blur")
    path = store.save(wanted, {}, tmp_path)
    (tmp_path / "broken.json").write_text("{")
    assert store.find(tmp_path, wanted.id) == path
    assert store.find(tmp_path, make_result("pixelate").id) is None
    assert store.find(tmp_path, wanted.id[:8] + "0" * 56) is None
    assert store.find(tmp_path / "absent", wanted.id) is None


def test_folder_with_a_broken_and_a_foreign_file_still_gives_the_others(tmp_path: Path) -> None:
    result = make_result()
    store.save(result, {}, tmp_path)
    (tmp_path / "broken.json").write_text('{"schema_version": 1,')
    (tmp_path / "foreign.json").write_text('{"hello": 1}')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "schema.json").write_text(store.schema())
    problems: list[UserError] = []
    assert store.load_folder(tmp_path, problems.append) == [result]
    assert len(problems) == 3
    for name, problem in zip(("broken", "foreign", "list"), problems, strict=True):
        assert f"{name}.json" in problem.what


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        store.load_folder(tmp_path / "nowhere")


def test_result_with_an_unknown_field_or_without_a_field_is_refused(tmp_path: Path) -> None:
    data = json.loads(make_result().model_dump_json())
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**data, "surprise": 1}))
    with pytest.raises(StoreError, match="surprise"):
        store.load(path)
    del data["suite"]
    path.write_text(json.dumps(data))
    with pytest.raises(StoreError, match="suite: Field required"):
        store.load(path)


def test_damaged_scores_are_named(tmp_path: Path, scores: dict[str, Scores]) -> None:
    path = store.save(make_result(), scores, tmp_path)
    npz = path.parent / "scores" / f"{path.stem}.npz"
    npz.write_bytes(npz.read_bytes()[:-40])
    with pytest.raises(StoreError, match=npz.name):
        store.load_scores(path)


def test_result_of_a_newer_anonbench_is_refused_by_name(tmp_path: Path) -> None:
    data = json.loads(make_result().model_dump_json())
    path = tmp_path / "future.json"
    path.write_text(json.dumps({**data, "schema_version": store.SCHEMA_VERSION + 1}))
    with pytest.raises(UserError, match=r"future\.json: .*schema version"):
        store.load(path)


def test_migrations_run_in_turn_from_the_record_s_own_version() -> None:
    steps = {
        1: lambda data: {**data, "trace": [*data["trace"], 1]},
        2: lambda data: {**data, "trace": [*data["trace"], 2]},
    }
    assert store.migrate({"schema_version": 1, "trace": []}, steps, to=3) == {
        "schema_version": 3,
        "trace": [1, 2],
    }
    assert store.migrate({"schema_version": 2, "trace": []}, steps, to=3)["trace"] == [2]


def test_every_earlier_schema_version_has_a_migration() -> None:
    assert sorted(store.MIGRATIONS) == list(range(1, store.SCHEMA_VERSION))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_never_becomes_a_metric(value: float) -> None:
    with pytest.raises(ValidationError):
        make_metric(value)


def test_a_metric_has_a_value_or_a_reason() -> None:
    assert make_metric(None, reason="not reversible").value is None
    with pytest.raises(ValidationError, match="value or a reason"):
        make_metric(None)
    with pytest.raises(ValidationError, match="value or a reason"):
        make_metric(0.5, reason="why?")


def test_every_committed_result_loads() -> None:
    def fail(error: UserError) -> None:
        pytest.fail(str(error))

    committed = [p for p in (ROOT / "results").rglob("*.json") if p.name != "schema.json"]
    assert len(store.load_folder(ROOT / "results", fail)) == len(committed)


def test_committed_schema_is_what_the_code_exports() -> None:
    committed = (ROOT / "results" / "schema.json").read_text(encoding="utf-8")
    assert committed == store.schema(), "run: anonbench schema > results/schema.json"


def test_schema_describes_a_saved_result(tmp_path: Path) -> None:
    described = json.loads(store.schema())["properties"]
    saved = json.loads(store.save(make_result(), {}, tmp_path).read_text())
    assert set(saved) == set(described)
