"""Runs of the whole engine on a toy dataset: what a user sees."""

from pathlib import Path

import numpy as np
import pytest

from anonbench.engine import execute, store
from anonbench.errors import BadConfig, UnreachableFar, UserError
from anonbench.results.store import load_scores


def tar(outcome) -> float:
    return next(m.value for m in outcome.result.metrics if m.name == "tar")


def arrays(outcome) -> dict[str, np.ndarray]:
    return load_scores(outcome.path)["toy-recogniser"]


def same_scores(left, right) -> bool:
    a, b = arrays(left), arrays(right)
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_a_finished_run_is_recognised_and_computes_nothing(toy_run, count) -> None:
    (first,) = toy_run()
    assert first.computed
    assert count() == {"detected": 48 + 36, "embedded": 48 + 36}
    (again,) = toy_run()
    assert not again.computed
    assert again.path == first.path
    assert count() == {}


def test_a_second_method_reuses_what_is_known_about_the_originals(toy_run, count) -> None:
    toy_run()
    count()
    toy_run(methods=("toy-same", "pixelate"))
    assert count() == {"detected": 36, "embedded": 36}


def test_anonymizing_lowers_tar_and_identity_keeps_it(toy_run) -> None:
    identity, blackout = toy_run(methods=("toy-same", "blackout"))
    assert tar(identity) == 1
    assert tar(blackout) < 0.5


def test_an_interrupted_run_continues_where_it_was(toy_run, count, monkeypatch) -> None:
    monkeypatch.setattr(execute, "SHARD_ROWS", 8)
    writes = []
    write = store.Artefact.write

    def interrupted(self, rows):
        writes.append(len(rows))
        if len(writes) == 4:
            raise KeyboardInterrupt
        write(self, rows)

    monkeypatch.setattr(store.Artefact, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        toy_run(batch_size=4)
    assert writes == [8, 8, 8, 8, 8]  # the one that was interrupted is written after all
    count()
    monkeypatch.setattr(store.Artefact, "write", write)
    (outcome,) = toy_run(batch_size=4)
    assert outcome.result.status == "complete"
    assert count()["detected"] == (48 - 32) + 36


def test_no_temporary_file_is_left_behind(toy_run, anonbench_home: Path) -> None:
    toy_run()
    assert [p.name for p in anonbench_home.rglob(".tmp-*")] == []


@pytest.mark.parametrize("change", [{"batch_size": 5}, {"workers": 2, "batch_size": 3}])
def test_scores_depend_neither_on_batches_nor_on_workers(toy_run, tmp_path, change) -> None:
    (one,) = toy_run(methods=("toy-tint",))
    (other,) = toy_run(
        methods=("toy-tint",), output=tmp_path / "other", overwrite="always", **change
    )
    assert same_scores(one, other)
    assert one.result.id == other.result.id


def test_bad_images_are_counted_with_their_reasons_and_cost_only_their_pairs(
    toy_run, people: Path
) -> None:
    whole = (people / "p03" / "1.png").read_bytes()
    (people / "p03" / "1.png").write_bytes(whole[: len(whole) // 2])
    (people / "p05" / "2.png").write_bytes(b"")
    (outcome,) = toy_run()
    counts = outcome.result.counts["toy-recogniser"]
    assert outcome.result.status == "partial"
    assert counts.used + sum(counts.failed.values()) == counts.expected
    assert sum(counts.failed.values()) >= 6
    assert any("p03/1.png" in reason for reason in counts.failed)
    assert any("p05/2.png" in reason for reason in counts.failed)
    assert len(outcome.result.warnings) == len(counts.failed)


def test_an_image_without_a_face_falls_back_or_is_rejected(toy_run, people: Path) -> None:
    (fallback,) = toy_run(methods=("blackout",))
    (reject,) = toy_run(methods=("blackout",), undetected="reject")
    detail = fallback.result.counts["toy-recogniser"].detail
    assert detail["genuine, face not found in the published probe"] == 72
    assert fallback.result.id != reject.result.id
    assert tar(reject) == 0
    assert np.isfinite(arrays(fallback)["distance"]).all()


def test_the_channel_decides_what_judges_see_and_is_part_of_the_result(toy_run) -> None:
    (png,) = toy_run(methods=("toy-tint",))
    (jpeg,) = toy_run(methods=("toy-tint",), channel="resize:0.5+jpeg:20")
    (raw,) = toy_run(methods=("toy-tint",), channel="float")
    assert not same_scores(png, jpeg)
    assert jpeg.result.setup.channel == "resize:0.5+jpeg:20"
    assert len({png.result.id, jpeg.result.id, raw.result.id}) == 3
    assert any("float" in warning for warning in raw.result.warnings)
    assert not png.result.warnings


def test_pasted_back_crops_are_judged_in_the_original_frame(toy_run) -> None:
    (crop,) = toy_run()
    (paste,) = toy_run(presentation="paste")
    genuine = arrays(crop)["same"]
    assert tar(paste) == 1
    # The toy detector boxes the middle of what it sees: of the frame only when pasted back.
    assert arrays(paste)["distance"][genuine].max() < 0.05 < arrays(crop)["distance"][genuine].min()
    with pytest.raises(BadConfig, match="float"):
        toy_run(presentation="paste", channel="float")


def test_each_seed_is_a_result_of_its_own_and_repeats_exactly(toy_run, tmp_path) -> None:
    zero, one = toy_run(methods=("toy-tint",), seeds=(0, 1))
    assert not same_scores(zero, one)
    again, _ = toy_run(
        methods=("toy-tint",), seeds=(0, 1), overwrite="always", output=tmp_path / "again"
    )
    assert same_scores(zero, again)


def test_a_judge_that_the_method_was_trained_against_is_marked(toy_run) -> None:
    tint, identity = toy_run(methods=("toy-tint", "toy-same"))
    assert all(metric.white_box for metric in tint.result.metrics)
    assert not any(metric.white_box for metric in identity.result.metrics)


def test_a_method_that_misbehaves_stops_only_itself(toy_run) -> None:
    broken, identity = toy_run(methods=("toy-broken", "toy-same"))
    assert isinstance(broken.error, UserError)
    assert "test-method toy-broken" in str(broken.error)
    assert identity.result.status == "complete"


def test_an_unreachable_far_is_an_error_before_anything_is_computed(toy_run, count) -> None:
    (outcome,) = toy_run(protocols=("lfw-tar:far=0.001",))
    assert isinstance(outcome.error, UnreachableFar)
    assert outcome.path is None
    assert count() == {}


def test_a_damaged_shard_is_noticed_and_computed_again(
    toy_run, count, anonbench_home: Path, capsys, tmp_path
) -> None:
    (first,) = toy_run()
    shard = next((anonbench_home / "store" / "embeddings").rglob("*.shard"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
    count()
    (again,) = toy_run(output=tmp_path / "elsewhere")
    assert "damaged" in capsys.readouterr().err
    assert count()["embedded"] in (36, 48)
    assert same_scores(first, again)


def test_other_images_are_another_result(toy_run, people: Path) -> None:
    (first,) = toy_run()
    (people / "p00" / "0.png").write_bytes((people / "p00" / "1.png").read_bytes())
    (second,) = toy_run()
    assert second.computed
    assert first.result.dataset.manifest != second.result.dataset.manifest


def test_results_say_where_and_how_they_were_computed(toy_run) -> None:
    (outcome,) = toy_run()
    result = outcome.result
    assert result.environment.packages["torch"]
    assert result.environment.cores >= 1
    assert result.peak_memory_mb > 50
    assert [stage.computed for stage in result.stages] == [48, 36, 36, 48, 36]
    assert result.setup.templates == {"ffhq-96": 1, "ffhq-64": 1}
