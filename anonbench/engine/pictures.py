"""Faces to look at: original, anonymized and recovered crops of a few samples."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from anonbench.engine import models
from anonbench.engine.channel import to_uint8
from anonbench.engine.collect import collect
from anonbench.engine.execute import Executor, executor, mending
from anonbench.engine.job import Job
from anonbench.engine.plan import build_protocol
from anonbench.engine.progress import Progress
from anonbench.report.grid import Column
from anonbench.values import Needs, Source


def columns(jobs: Sequence[Job], count: int, progress: Progress) -> list[Column]:
    """Columns of a grid: the originals, then what each job's method makes of them.

    The samples are spread evenly over those that the protocol publishes; what a run has stored
    about them is not computed again.

    Args:
        jobs: One per method, all on the same dataset.
        count: How many samples.
        progress: Is told what is computed.

    Raises:
        UserError: The protocol cannot be measured on the dataset, or a plug-in misbehaves.
    """
    models.forbid_tf32(models.resolve_device(jobs[0].config.device))
    published = build_protocol(jobs[0].protocol).needs(jobs[0].dataset, None).published
    spread = np.linspace(0, len(published) - 1, min(count, len(published)))
    ids = tuple(published[round(place)] for place in spread)
    found: list[Column] = []
    with executor(jobs[0].config, progress) as computing:
        for job in jobs:
            mine = mending(partial(_columns_of, job, ids, computing))
            found += mine[1:] if found else mine
    return found


def _columns_of(job: Job, ids: tuple[str, ...], executor: Executor) -> list[Column]:
    needs = Needs(published=ids, recovered=ids)
    evidence = collect(replace(job, judges=()), executor, needs)
    sources: list[Source] = ["original", "published"]
    titles = ["Original", job.method.title]
    if job.method.reversible:
        sources.append("recovered")
        titles.append(f"{job.method.title} recovered")
    crops = {crop.id: crop.images for crop in evidence.crops(*sources) if not crop.failed}
    return [
        Column(title, [to_uint8(crops[i][place]) if i in crops else None for i in ids])
        for place, title in enumerate(titles)
    ]
