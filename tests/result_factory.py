"""Hand-made results for the tests of the store and the tables."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from anonbench.results.record import (
    Counts,
    DatasetRef,
    Environment,
    JudgeRef,
    MethodRef,
    Metric,
    PluginRef,
    Result,
    Setup,
)


def make_metric(value: float | None = 0.5, judge: str = "dlib-resnet", **changes: Any) -> Metric:
    """A TAR as `lfw-tar` reports it."""
    fields: dict[str, Any] = {
        "name": "tar",
        "judge": judge,
        "value": value,
        "std": None if value is None else 0.01,
        "std_of": "folds, population",
        "n": 3000,
        "direction": "lower",
        "detail": {"far": 0.0012},
        **changes,
    }
    return Metric(**fields)


def make_result(
    method: str | MethodRef = "blur",
    metrics: tuple[Metric, ...] = (),
    seed: int = 0,
    **changes: Any,
) -> Result:
    """A complete `lfw-tar` result on ORL; the id follows from everything else."""
    metrics = metrics or (make_metric(),)
    judges = list(dict.fromkeys(m.judge for m in metrics))
    counts = Counts(unit="pairs", expected=6000, used=6000, detail={"undetected": 41})
    fields: dict[str, Any] = {
        "id": sha256(repr((method, metrics, seed, sorted(changes.items()))).encode()).hexdigest(),
        "created": datetime(2026, 11, 22, tzinfo=UTC),
        "status": "complete",
        "suite": "demo",
        "protocol": PluginRef(
            name="lfw-tar", version=1, config={"rule": "facenet", "far": 0.001, "folds": 10}
        ),
        "method": make_method(method) if isinstance(method, str) else method,
        "dataset": DatasetRef(name="orl", version=1, title="ORL", manifest="a" * 64, files=400),
        "judges": tuple(
            JudgeRef(name=j, version=1, title=j.title(), training_data="faces") for j in judges
        ),
        "setup": Setup(
            seed=seed, detector=PluginRef(name="dlib-hog", version=1), templates={"ffhq-256": 1}
        ),
        "counts": dict.fromkeys(judges, counts),
        "metrics": metrics,
        "environment": Environment(
            anonbench="0.1.0",
            python="3.11",
            platform="linux",
            packages={"torch": "2.14"},
            cpu="cpu",
            cores=2,
            threads=1,
            device="cpu",
        ),
        "wall_seconds": 1.0,
        "peak_memory_mb": 100.0,
        **changes,
    }
    return Result(**fields)


def make_method(name: str, title: str = "", **changes: Any) -> MethodRef:
    """A method that is not reversible, titled as it is named."""
    fields: dict[str, Any] = {
        "name": name,
        "version": 1,
        "title": title or name.title(),
        "family": name,
        "template": "ffhq-256",
        "reversible": False,
        **changes,
    }
    return MethodRef(**fields)
