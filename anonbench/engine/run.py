"""Running jobs: stages to evidence, evidence to scores, scores to a result on disk."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from anonbench.engine.collect import collect
from anonbench.engine.environment import peak_memory_mb
from anonbench.engine.execute import Executor, executor, mending
from anonbench.engine.job import Job, RunConfig
from anonbench.engine.plan import build_protocol
from anonbench.engine.progress import Progress
from anonbench.errors import StoreError, UserError
from anonbench.results import store as results
from anonbench.results.record import Counts, Metric, Reduction, Remark, Result
from anonbench.values import Scores
from anonbench.weights.filled import STAMP

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its result's file, or the error that ended it."""

    job: Job
    path: Path | None = None
    result: Result | None = None
    error: UserError | None = None
    computed: bool = False


def run(jobs: Sequence[Job], config: RunConfig, progress: Progress) -> list[Outcome]:
    """Run jobs one after the other; one that fails does not stop the others, a disk that does so.

    Raises:
        BadConfig: The device does not exist here.
    """
    outcomes = [_finished(job) for job in jobs]
    if all(outcome is not None for outcome in outcomes):
        return [outcome for outcome in outcomes if outcome is not None]
    with executor(config, progress) as computing:
        done: list[Outcome] = []
        failed_disk: StoreError | None = None
        for job, finished in zip(jobs, outcomes, strict=True):
            hopeless = Outcome(job, error=failed_disk) if failed_disk else None
            done.append(finished or hopeless or _attempt(job, computing))
            if isinstance(done[-1].error, StoreError):
                failed_disk = done[-1].error
    return done


def _finished(job: Job) -> Outcome | None:
    """The outcome of a job that need not run, as `--overwrite` says."""
    if job.config.overwrite == "always":
        return None
    path = results.find(job.config.output, job.id)
    if path is None:
        return None
    result = results.load(path)
    if job.config.overwrite == "missing":
        if result.status != "complete":
            return None
        if not results.has_scores(path, result):
            _log.warning("The scores of %s are gone or cut off; they are computed again.", path)
            return None
    return Outcome(job, path, result)


def _attempt(job: Job, executor: Executor) -> Outcome:
    try:
        result, scores = mending(lambda: _execute(job, executor))
        path = results.save(result, scores, job.config.output)
    except UserError as error:
        return Outcome(job, error=error)
    return Outcome(job, path, results.load(path), computed=True)


def _execute(job: Job, executor: Executor) -> tuple[Result, dict[str, Scores]]:
    started = time.perf_counter()
    executor.reports.clear()
    executor.notes.clear()
    protocol = build_protocol(job.protocol)
    scores: dict[str, Scores] = {}
    reductions: dict[str, Reduction] = {}
    remarks: tuple[Remark, ...] = ()
    if job.lacks:
        reductions = {name: _not_applicable(job, name) for name in job.scored_by}
    else:
        needs = protocol.needs(job.dataset, job.config.limit)
        evidence = collect(job, executor, needs)
        for name in job.scored_by:
            scores[name] = protocol.score(job.dataset, evidence, name, job.config.limit)
            reductions[name] = protocol.reduce(scores[name])
        remarks = evidence.sources["published"].remarks
    seconds = time.perf_counter() - started
    return _record(job, reductions, remarks, executor, seconds), scores


def _not_applicable(job: Job, judge: str) -> Reduction:
    kinds = {card.name: card.kind for card in job.judges}
    metrics = tuple(
        Metric(
            name=spec.name,
            value=None,
            reason=job.lacks,
            n=0,
            unit=spec.unit,
            direction=spec.direction,
        )
        for spec in job.protocol.metrics
        if spec.judged == bool(judge) and (not spec.kinds or kinds.get(judge) in spec.kinds)
    )
    return Reduction(metrics=metrics, counts=Counts(unit="samples", expected=0, used=0))


def _record(
    job: Job,
    reductions: Mapping[str, Reduction],
    remarks: tuple[Remark, ...],
    executor: Executor,
    seconds: float,
) -> Result:
    white_box = {judge.name: job.white_box(judge) for judge in job.judges}
    metrics = [
        metric.model_copy(update={"judge": name, "white_box": white_box.get(name, False)})
        for name, reduction in reductions.items()
        for metric in reduction.metrics
    ]
    partial = any(reduction.counts.failed for reduction in reductions.values())
    return Result(
        id=job.id,
        created=datetime.now(UTC),
        status="partial" if partial else "complete",
        warnings=(*_warnings(job, reductions), *executor.notes),
        suite=job.config.suite,
        protocol=job.protocol_ref,
        method=job.method_ref,
        dataset=job.dataset_ref,
        judges=tuple(job.judge_refs.values()),
        setup=job.setup,
        counts={name: reduction.counts for name, reduction in reductions.items()},
        metrics=tuple(metrics),
        remarks=remarks,
        environment=executor.engine.environment(job.setup.precision),
        stages=tuple(executor.reports.values()),
        wall_seconds=round(seconds, 3),
        peak_memory_mb=round(peak_memory_mb() + executor.engine.memory_mb, 1),
    )


def _warnings(job: Job, reductions: Mapping[str, Reduction]) -> list[str]:
    warnings = []
    if job.setup.channel == "float":
        warnings.append("The channel 'float' publishes images that no recipient ever has.")
    filled = sorted(name for name, hashed in _weights(job).items() if hashed.startswith(STAMP))
    if filled:
        warnings.append(f"weights: test fill ({', '.join(filled)}); the numbers mean nothing.")
    if job.config.limit is not None:
        warnings.append(f"Only a part of the protocol was run (--limit {job.config.limit}).")
    for name, reduction in reductions.items():
        for reason, count in reduction.counts.failed.items():
            by = f"{name}: " if name else ""
            warnings.append(f"{by}{count} {reduction.counts.unit} failed: {reason}")
    return warnings


def _weights(job: Job) -> dict[str, str]:
    """The digests of all weights that took part."""
    plugins = (job.method_ref, job.detector_ref, *job.judge_refs.values())
    return {name: digest for plugin in plugins for name, digest in plugin.weights.items()}
