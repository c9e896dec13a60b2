"""Running the stages that a protocol's needs call for, and reading what they stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anonbench.engine.execute import Executor
from anonbench.engine.faces import Images, Originals, Published
from anonbench.engine.plan import Job, key_of
from anonbench.engine.stages import Embed, FindFaces, Publish
from anonbench.engine.store import Artefact
from anonbench.interfaces import Embeddings, JudgeCard, Needs, Source

CROP_UPSAMPLE = 1
"""Doublings before HOG looks at a published crop; PROTOCOLS.md P4 names one."""


@dataclass
class _Gathered:
    """One source of images: which, where from, and what was computed about them."""

    ids: tuple[str, ...]
    images: Images
    faces: Artefact
    stored_images: Artefact | None = None
    vectors: dict[str, Artefact] = field(default_factory=dict)


@dataclass(frozen=True)
class Collected:
    """The evidence of one job."""

    sources: dict[Source, _Gathered]

    def embeddings(self, source: Source, judge: str) -> Embeddings:
        """Embeddings of one recogniser on one source of images."""
        gathered = self.sources[source]
        artefact = gathered.vectors[judge]
        failed = artefact.failed(gathered.ids)
        good = tuple(i for i in gathered.ids if i not in failed)
        vectors: Any = [row["vector"] for row in artefact.read(good)]
        found: Any = [row["found"] for row in gathered.faces.read(good)]
        return Embeddings(
            ids=good,
            vectors=np.stack(vectors) if vectors else np.empty((0, 0), np.float32),
            found=np.array(found, bool),
            failed=failed,
        )


def collect(job: Job, executor: Executor, needs: Needs) -> Collected:
    """Compute what the needs name and the store lacks.

    Raises:
        StoreError: The store cannot be written.
        UserError: A plug-in misbehaves.
    """
    originals = Originals(job.dataset.card, str(job.dataset.root))
    faces = executor.run(_find_originals(job, originals), _union(needs.original, needs.published))
    sources: dict[Source, _Gathered] = {
        "original": _Gathered(needs.original, originals, faces),
        "published": _published(job, executor, needs.published, originals, faces),
    }
    for judge in job.judges:
        for gathered in sources.values():
            stage = _embed(job, judge, gathered)
            gathered.vectors[judge.name] = executor.run(stage, gathered.ids)
    return Collected(sources)


def _union(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _find_originals(job: Job, originals: Originals) -> FindFaces:
    card = job.dataset.card
    return FindFaces(
        "find faces in originals",
        {
            "dataset": [key_of(job.dataset_ref), job.dataset_ref.manifest],
            "detector": key_of(job.detector_ref),
            "upsample": card.upsample,
            "fallback": list(card.fallback_box),
        },
        originals,
        detector=job.detector,
        upsample=card.upsample,
    )


def _published(
    job: Job, executor: Executor, ids: tuple[str, ...], originals: Originals, faces: Artefact
) -> _Gathered:
    setup, name = job.setup, job.method.template
    key = {
        "faces": faces.key,
        "method": key_of(job.method_ref),
        "template": [name, setup.templates[name]],
        "seed": job.seed,
        "channel": setup.channel,
        "presentation": setup.presentation,
    }
    publish = Publish(
        f"anonymize with {job.method.name}",
        key,
        originals,
        stored_faces=faces,
        method=job.method,
        seed=job.seed,
        channel=setup.channel,
        presentation=setup.presentation,
        device=job.config.device,
    )
    stored = executor.run(publish, ids)
    images = Published(setup.channel)
    cropped = setup.presentation == "crop"
    upsample = CROP_UPSAMPLE if cropped else job.dataset.card.upsample
    find = FindFaces(
        f"find faces in {job.method.name}",
        {"images": stored.key, "detector": key_of(job.detector_ref), "upsample": upsample},
        images,
        stored_images=stored,
        stored_faces=faces,
        detector=job.detector,
        upsample=upsample,
        carry_to=name if cropped else "",
    )
    return _Gathered(ids, images, executor.run(find, ids), stored)


def _embed(job: Job, judge: JudgeCard, source: _Gathered) -> Embed:
    ref = job.judge_refs[judge.name]
    shown = f"{job.method.name} images" if source.stored_images else "originals"
    return Embed(
        f"embed {shown} with {judge.name}",
        {
            "faces": source.faces.key,
            "judge": key_of(ref),
            "template": [judge.template, job.setup.templates[judge.template]],
        },
        source.images,
        stored_images=source.stored_images,
        stored_faces=source.faces,
        judge=judge,
        device=job.config.device,
    )
