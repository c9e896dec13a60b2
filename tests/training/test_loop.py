"""Runs of a toy training: what is kept, and that a stop changes nothing."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from filelock import FileLock
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from training_world import (
    METHOD,
    SIZE,
    changed_config,
    checkpoint_names,
    checkpoint_of,
    log_of,
    store_crops,
    trace_of,
)

from anonbench.errors import BadConfig, BadData, Diverged
from anonbench.training import run as training_run
from anonbench.training.loop import Outcome
from anonbench.training.run import make_accelerator, train
from anonbench.training.settings import Run, load_config


@pytest.fixture
def run(tmp_path: Path, crops_folder: Path) -> Callable[..., Outcome]:
    """Trains the toy into `tmp_path / out`; by default as its `demo.toml` says."""

    def call(out: str, config: str | Path = "demo", steps: int | None = None, **options) -> Outcome:
        settings = load_config(METHOD, str(config), steps=steps)
        options = {"crops": crops_folder, "device": "cpu"} | options
        return train(settings, tmp_path, tmp_path / out, **options)

    return call


def stop_after(steps: int) -> Callable[[], bool]:
    """A wish to stop that comes up in the given step."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= steps


def equal(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def test_a_run_leaves_log_checkpoints_samples_and_model(run, tmp_path: Path) -> None:
    done = run("a")
    folder = tmp_path / "a"
    assert done == Outcome(12, folder / "checkpoints" / "step-00000012.pt")
    assert checkpoint_names(folder) == ["step-00000010.pt", "step-00000012.pt"]
    assert [line["step"] for line in log_of(folder)] == [2, 4, 6, 8, 10, 12]
    seconds = [line["seconds"] for line in log_of(folder)]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    l1 = [losses["l1"] for _, losses in trace_of(folder)]
    assert l1[-1] < 0.7 * l1[0], "it learns"
    assert json.loads((folder / "config.json").read_text())["run"]["log_every"] == 2
    with safe_open(folder / "model.safetensors", "pt") as model:
        assert model.metadata() == {"method": METHOD, "step": "12"}
    painter = checkpoint_of(folder, 12)["modules"]["painter"]
    exported = load_file(folder / "model.safetensors")
    assert equal(exported, {f"painter.{key}": value for key, value in painter.items()})


def test_lines_average_the_steps_since_the_one_before(run, tmp_path: Path) -> None:
    run("each", changed_config(tmp_path / "each.toml", log_every=1))
    run("pairs")
    each = [losses["l1"] for _, losses in trace_of(tmp_path / "each")]
    pairs = [losses["l1"] for _, losses in trace_of(tmp_path / "pairs")]
    assert pairs == [pytest.approx((a + b) / 2) for a, b in zip(each[::2], each[1::2], strict=True)]


def test_sample_grids_show_the_same_originals_every_time(run, tmp_path: Path) -> None:
    run("a")
    grids = sorted((tmp_path / "a" / "samples").iterdir())
    assert [grid.name for grid in grids] == ["step-00000006.png", "step-00000012.png"]
    first, second = (np.asarray(Image.open(grid)) for grid in grids)
    assert first.shape == (7 * SIZE, 3 * SIZE, 3)
    assert (first[:, :SIZE] == second[:, :SIZE]).all()
    assert (first[:, SIZE : 2 * SIZE] != second[:, SIZE : 2 * SIZE]).any()
    assert (first[:, 2 * SIZE :] == second[:, 2 * SIZE :]).all(), "what is drawn is drawn alike"
    images = np.fromfile(tmp_path / "crops" / "images.u8", np.uint8).reshape(7, SIZE, SIZE, 3)
    shown = first[:, :SIZE].reshape(7, SIZE, SIZE, 3)
    assert sorted(map(bytes, images)) == sorted(map(bytes, shown)), "no flips, no loss"


@pytest.mark.parametrize("settings", [(), ("ema = 0.9", "ema_start = 4")])
def test_stopped_and_resumed_equals_uninterrupted(run, tmp_path: Path, settings) -> None:
    config = changed_config(tmp_path / "config.toml")
    config.write_text(config.read_text().replace("[run]", "\n".join(["[run]", *settings])))
    run("whole", config)
    assert run("parts", config, stop=stop_after(3)).step == 3
    assert run("parts", config, resume=True, stop=stop_after(4)).step == 7
    run("parts", config, resume=True)
    assert trace_of(tmp_path / "parts") == trace_of(tmp_path / "whole")
    whole, parts = (checkpoint_of(tmp_path / name, 12) for name in ("whole", "parts"))
    assert (whole["ema"] is not None) == bool(settings)
    for key in ("modules", "optimizers", "ema"):
        assert equal(whole[key], parts[key]), key
    models = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts")]
    assert equal(*models)


def test_lines_past_the_checkpoint_are_dropped(run, tmp_path: Path) -> None:
    run("whole")
    run("killed", stop=stop_after(5))
    with (tmp_path / "killed" / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "seconds": 9.0, "losses": {"l1": 5.0}}\n{"step": 8, "seco')
    left = [tmp_path / "killed" / name for name in ("checkpoints/.tmp-a.pt", ".tmp-b.safetensors")]
    for path in left:
        path.write_bytes(b"half of something")
    run("killed", resume=True)
    assert trace_of(tmp_path / "killed") == trace_of(tmp_path / "whole")
    assert not any(path.exists() for path in left)


def test_a_run_killed_before_its_first_checkpoint_begins_again(run, tmp_path: Path) -> None:
    run("whole")
    run("killed", stop=stop_after(3))
    (tmp_path / "killed" / "checkpoints" / "step-00000003.pt").unlink()
    run("killed", resume=True)
    assert trace_of(tmp_path / "killed") == trace_of(tmp_path / "whole")


def test_the_seed_decides(run, tmp_path: Path) -> None:
    run("a")
    run("b")
    run("other", changed_config(tmp_path / "other.toml", seed=4))
    assert trace_of(tmp_path / "a") == trace_of(tmp_path / "b") != trace_of(tmp_path / "other")


def test_looking_changes_nothing(run, tmp_path: Path) -> None:
    run("a")
    run("b", changed_config(tmp_path / "b.toml", preview_every=1, checkpoint_every=1))
    assert trace_of(tmp_path / "a") == trace_of(tmp_path / "b")


def test_steps_may_grow(run, tmp_path: Path) -> None:
    run("whole", steps=16)
    run("grown", steps=12)
    assert run("grown", steps=16, resume=True).step == 16
    assert trace_of(tmp_path / "grown") == trace_of(tmp_path / "whole")
    assert run("grown", steps=16, resume=True).step == 16, "there is nothing left to do"


def test_the_average_is_exported_and_the_weights_go_on(run, tmp_path: Path) -> None:
    config = changed_config(tmp_path / "ema.toml")
    config.write_text(config.read_text().replace("[run]", "[run]\nema = 0.9"))
    run("ema", config)
    run("plain")
    state = checkpoint_of(tmp_path / "ema", 12)
    exported = load_file(tmp_path / "ema" / "model.safetensors")
    averaged = {f"painter.{key}": value for key, value in state["ema"]["painter"].items()}
    assert equal(exported, averaged)
    assert equal(state["modules"], checkpoint_of(tmp_path / "plain", 12)["modules"])
    assert not torch.equal(exported["painter.0.weight"], state["modules"]["painter"]["0.weight"])


@pytest.mark.parametrize(
    ("poison", "named"),
    [("poison_loss_at = 7", "step 8: l1 = nan"), ("poison_weights_at = 9", "step 10: painter.0")],
)
def test_nan_stops_the_run_and_keeps_the_good_checkpoint(run, tmp_path, poison, named) -> None:
    run("good", steps=5)
    with pytest.raises(Diverged) as caught:
        run("bad", changed_config(tmp_path / "bad.toml", poison))
    message, last = str(caught.value), tmp_path / "bad" / "checkpoints" / "step-00000005.pt"
    assert named in message
    assert str(last) in message
    assert checkpoint_names(tmp_path / "bad") == ["step-00000005.pt"]
    good, bad = (checkpoint_of(tmp_path / name, 5) for name in ("good", "bad"))
    assert equal(good["modules"], bad["modules"])
    with safe_open(tmp_path / "bad" / "model.safetensors", "pt") as model:
        assert model.metadata()["step"] == "5"


def test_a_folder_with_a_run_is_not_overwritten(run, tmp_path: Path) -> None:
    run("a", steps=2)
    with pytest.raises(BadConfig, match=r"already holds a run.*--resume"):
        run("a")
    with pytest.raises(BadConfig, match="holds no run to resume"):
        run("nothing", resume=True)
    with FileLock(tmp_path / "a" / ".lock"), pytest.raises(BadConfig, match="Another process"):
        run("a", resume=True)


def test_a_resume_wants_the_same_configuration_and_data(run, tmp_path: Path) -> None:
    run("a", steps=4)
    before = trace_of(tmp_path / "a")
    other = changed_config(tmp_path / "other.toml", seed=9, learning_rate=0.5, keep=1)
    with pytest.raises(BadConfig, match=r"What differs: run.seed, training.learning_rate"):
        run("a", other, resume=True)
    crops = store_crops(tmp_path / "others", tmp_path, ids="abcdefX")
    with pytest.raises(BadConfig, match="other training data"):
        run("a", crops=crops, resume=True)
    assert trace_of(tmp_path / "a") == before
    assert run("a", changed_config(tmp_path / "c.toml", keep=1), resume=True).step == 12
    assert checkpoint_names(tmp_path / "a") == ["step-00000012.pt"]


def test_a_damaged_checkpoint_is_named(run, tmp_path: Path) -> None:
    last = run("a").checkpoint
    last.write_bytes(last.read_bytes()[:-500])
    with pytest.raises(BadData, match=rf"{last.name} cannot be read"):
        run("a", resume=True)
    last.unlink()
    assert run("a", resume=True).step == 12
    torch.save({"step": 13}, last.with_name("step-00000013.pt"))
    with pytest.raises(BadData, match="lacks config, crops"):
        run("a", resume=True)


def test_a_checkpoint_of_other_networks_is_refused(run, tmp_path: Path) -> None:
    last = run("a", steps=4).checkpoint
    state = torch.load(last, weights_only=True)
    state["modules"]["painter"]["0.weight"] = torch.zeros(4, 3, 5, 5)
    torch.save(state, last)
    with pytest.raises(BadData, match=r"0.weight"):
        run("a", resume=True)
    state["modules"]["judge"] = state["modules"].pop("critic")
    torch.save(state, last)
    with pytest.raises(BadData, match="critic, judge"):
        run("a", resume=True)


def test_a_missing_source_leaves_no_trace_of_a_run(run, tmp_path: Path) -> None:
    nowhere = changed_config(tmp_path / "nowhere.toml")
    nowhere.write_text(nowhere.read_text().replace('"folder"', '"folder"\npath = "nowhere"'))
    with pytest.raises(BadData, match="nowhere"):
        run("a", nowhere, crops=None)
    assert run("a", steps=1).step == 1


@pytest.fixture
def fresh_accelerate():
    """Accelerate keeps one precision per process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_is_to_what_was_asked_for(fresh_accelerate, precision, dtype) -> None:
    accelerator = make_accelerator("cpu", Run(steps=1, batch=1, precision=precision))
    net = torch.nn.Conv2d(3, 3, 3)
    with accelerator.autocast():
        assert net(torch.ones(1, 3, 8, 8)).dtype == dtype
    assert net.weight.dtype == torch.float32


def test_an_accelerator_that_would_not_do_it_is_refused(monkeypatch) -> None:
    found = {"device": torch.device("cpu"), "autocast": nullcontext, "num_processes": 2}
    monkeypatch.setattr(
        training_run, "Accelerator", lambda cpu, mixed_precision: SimpleNamespace(**found)
    )
    with pytest.raises(BadConfig, match=r"run\.precision = 'bf16' cannot be had on cpu"):
        make_accelerator("cpu", Run(steps=1, batch=2, precision="bf16"))
    with pytest.raises(BadConfig, match=r"run\.batch = 3 cannot be shared by 2 processes"):
        make_accelerator("cpu", Run(steps=1, batch=3))
    found["device"] = torch.device("cuda")
    with pytest.raises(BadConfig, match="'cpu' is wanted, but accelerate takes 'cuda'"):
        make_accelerator("cpu", Run(steps=1, batch=2))


def test_bf16_trains_and_differs_from_fp32(fresh_accelerate, run, tmp_path: Path) -> None:
    config = changed_config(tmp_path / "bf16.toml")
    config.write_text(config.read_text().replace("[run]", '[run]\nprecision = "bf16"'))
    run("bf16", config)
    AcceleratorState._reset_state(reset_partial_state=True)
    run("fp32")
    a, b = ([losses["l1"] for _, losses in trace_of(tmp_path / n)] for n in ("bf16", "fp32"))
    assert a != b
    assert a == pytest.approx(b, rel=0.02)


def test_a_device_that_is_not_there_is_refused(run) -> None:
    with pytest.raises(BadConfig, match="mps"):
        run("a", device="mps")
