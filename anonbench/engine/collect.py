"""Running the stages that a protocol's needs call for."""

from collections.abc import Sequence
from typing import Any

from anonbench.cards import JudgeCard
from anonbench.engine.channel import local
from anonbench.engine.evidence import Collected, Gathered, Password
from anonbench.engine.execute import Executor
from anonbench.engine.faces import Frame, Originals, Published
from anonbench.engine.plan import Job, key_of
from anonbench.engine.recipient import HidePassword, ReadPassword, Recover
from anonbench.engine.stages import Compare, Embed, FindFaces, Publish
from anonbench.engine.store import Artefact
from anonbench.interfaces import Needs, Source

CROP_UPSAMPLE = 1
"""Doublings before HOG looks at a published or recovered crop; PROTOCOLS.md P4 names one."""

Ids = tuple[str, ...]


def collect(job: Job, executor: Executor, needs: Needs) -> Collected:
    """Compute what the needs name, the method offers, and the store lacks.

    Raises:
        StoreError: The store cannot be written.
        UserError: A plug-in misbehaves.
    """
    recovered = needs.recovered if job.method.reversible else ()
    bits = needs.bits if job.method.hidden_bits else ()
    publish = _union(needs.published, recovered, bits)
    collector = _Collector(job, executor, _union(needs.original, publish))
    published = collector.publish(publish, needs.published, realign=_union(recovered, bits))
    sources: dict[Source, Gathered] = {
        "original": Gathered(
            needs.original, "originals", collector.originals, faces=collector.faces
        ),
        "published": published,
    }
    if job.method.reversible:
        sources["recovered"] = collector.recover(published, recovered)
    for judge in job.judges:
        for gathered in sources.values():
            collector.judge(judge, gathered)
    password = collector.password(published, bits) if bits else None
    return Collected(job.method, collector.frame, collector.faces, sources, password)


def _union(*some: Sequence[str]) -> Ids:
    return tuple(dict.fromkeys(sample_id for ids in some for sample_id in ids))


class _Collector:
    """The stages of one job, each with all that decides what it gives.

    Args:
        job: The job.
        executor: Computes.
        ids: Samples whose originals' faces are needed.

    Attributes:
        originals: The images of the dataset.
        faces: Their faces.
        frame: The frame of the method's crops.
    """

    def __init__(self, job: Job, executor: Executor, ids: Ids) -> None:
        self._job, self._executor = job, executor
        self._cropped = job.setup.presentation == "crop"
        self._recognised = any(judge.kind == "recognition" for judge in job.judges)
        self.originals = Originals(job.dataset.card, str(job.dataset.root))
        self.frame = Frame(job.method.template, job.setup.presentation, self.originals)
        self.faces = self._find_in_originals(ids)

    def _template(self, name: str) -> list[Any]:
        return [name, self._job.setup.templates[name]]

    # ------------------------------------------------------------------------------------- faces
    def _find_in_originals(self, ids: Ids) -> Artefact:
        job, card = self._job, self._job.dataset.card
        stage = FindFaces(
            "find faces in originals",
            {
                "dataset": [key_of(job.dataset_ref), job.dataset_ref.manifest],
                "detector": key_of(job.detector_ref),
                "upsample": card.upsample,
                "fallback": list(card.fallback_box),
            },
            self.originals,
            detector=job.detector,
            upsample=card.upsample,
        )
        return self._executor.run(stage, ids)

    def _find_in(self, label: str, images: Published, stored: Artefact, ids: Ids) -> Artefact:
        """The faces in published or recovered images."""
        job = self._job
        upsample = CROP_UPSAMPLE if self._cropped else job.dataset.card.upsample
        stage = FindFaces(
            f"find faces in {label}",
            {"images": stored.key, "detector": key_of(job.detector_ref), "upsample": upsample},
            images,
            stored_images=stored,
            stored_faces=self.faces,
            detector=job.detector,
            upsample=upsample,
            carry_to=job.method.template if self._cropped else "",
        )
        return self._executor.run(stage, ids)

    # ------------------------------------------------------------------------------------ images
    def publish(self, ids: Ids, judged: Ids, realign: Ids) -> Gathered:
        """Anonymize images.

        Args:
            ids: Samples to publish.
            judged: Those of them that are judged.
            realign: Those of them that a recipient would have to align anew in a picture.
        """
        job, setup, name = self._job, self._job.setup, self._job.method.name
        stage = Publish(
            f"anonymize with {name}",
            {
                "faces": self.faces.key,
                "method": key_of(job.method_ref),
                "template": self._template(job.method.template),
                "seed": job.seed,
                "channel": setup.channel,
                "presentation": setup.presentation,
            },
            self.originals,
            stored_faces=self.faces,
            method=job.method,
            seed=job.seed,
            channel=setup.channel,
            presentation=setup.presentation,
            device=job.config.device,
        )
        stored, images = self._executor.run(stage, ids), Published(setup.channel)
        look = _union(judged if self._recognised else (), () if self._cropped else realign)
        faces = self._find_in(name, images, stored, look) if look else None
        return Gathered(judged, f"{name} images", images, stored, faces)

    def recover(self, published: Gathered, ids: Ids) -> Gathered:
        """Recover images from published ones."""
        job, label = self._job, f"{self._job.method.name} recovered"
        images = Published(local(job.setup.channel))
        if not ids:
            return Gathered(ids, label, images)
        stage = Recover(
            f"recover with {job.method.name}",
            self._received_key(published),
            Published(job.setup.channel),
            stored_images=published.stored,
            stored_faces=self._received_faces(published),
            method=job.method,
            presentation=job.setup.presentation,
            dataset=job.dataset.card,
            detector=job.detector,
            device=job.config.device,
            seed=job.seed,
        )
        stored = self._executor.run(stage, ids)
        faces = self._find_in(label, images, stored, ids) if self._recognised else None
        return Gathered(ids, label, images, stored, faces)

    def _received_faces(self, published: Gathered) -> Artefact | None:
        """Faces that a recipient may use: those of published pictures, none for crops."""
        return None if self._cropped else published.faces

    def _received_key(self, published: Gathered) -> dict[str, Any]:
        """What decides the crops that a recipient gives the method: method and seed included."""
        key: dict[str, Any] = {"images": published.stored.key if published.stored else ""}
        if faces := self._received_faces(published):
            fallback = list(self._job.dataset.card.fallback_box)
            key |= {"faces": faces.key, "fallback": fallback}
        return key

    # ------------------------------------------------------------------------- judges and bits
    def judge(self, judge: JudgeCard, source: Gathered) -> None:
        """Let a judge see a source, where it has anything to say about it."""
        if judge.kind == "recognition" and source.ids:
            source.judged[judge.name] = self._executor.run(self._embed(judge, source), source.ids)
        if judge.kind == "perceptual" and source.ids and isinstance(source.images, Published):
            stage = Compare(
                f"compare {source.label} by {judge.name}",
                {
                    "images": source.stored.key if source.stored else "",
                    "judge": key_of(self._job.judge_refs[judge.name]),
                },
                source.images,
                stored_images=source.stored,
                stored_faces=self.faces,
                frame=self.frame,
                judge=judge,
                device=self._job.config.device,
            )
            source.judged[judge.name] = self._executor.run(stage, source.ids)

    def _embed(self, judge: JudgeCard, source: Gathered) -> Embed:
        return Embed(
            f"embed {source.label} with {judge.name}",
            {
                "faces": source.faces.key if source.faces else "",
                "judge": key_of(self._job.judge_refs[judge.name]),
                "template": self._template(judge.template),
            },
            source.images,
            stored_images=source.stored,
            stored_faces=source.faces,
            judge=judge,
            device=self._job.config.device,
        )

    def password(self, published: Gathered, ids: Ids) -> Password:
        """The bits that the method hides in originals, and those read from published images."""
        job = self._job
        hide = HidePassword(
            f"bits hidden by {job.method.name}",
            {
                "faces": self.faces.key,
                "method": key_of(job.method_ref),
                "template": self._template(job.method.template),
            },
            self.originals,
            stored_faces=self.faces,
            method=job.method,
            device=job.config.device,
        )
        read = ReadPassword(
            f"bits read by {job.method.name}",
            self._received_key(published),
            Published(job.setup.channel),
            stored_images=published.stored,
            stored_faces=self._received_faces(published),
            method=job.method,
            presentation=job.setup.presentation,
            dataset=job.dataset.card,
            detector=job.detector,
            device=job.config.device,
        )
        return Password(ids, self._executor.run(hide, ids), self._executor.run(read, ids))
