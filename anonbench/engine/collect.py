"""Running the stages that a protocol's needs call for."""

from collections.abc import Sequence
from typing import Any

from anonbench.cards import JudgeCard, MethodCard
from anonbench.engine.channel import local
from anonbench.engine.evidence import Collected, Gathered, Password
from anonbench.engine.execute import Executor
from anonbench.engine.faces import Frame, Originals, Published
from anonbench.engine.job import Job, key_of
from anonbench.engine.judging import Compare, Describe, Embed
from anonbench.engine.recipient import (
    ReadPassword,
    Recipient,
    Recover,
    RecoverWithWrongBits,
)
from anonbench.engine.remarks import sum_up
from anonbench.engine.stages import Crop, FindFaces, Publish
from anonbench.engine.steps import Stage
from anonbench.engine.store import Artefact
from anonbench.engine.wrong_keys import WRONG_KEYS
from anonbench.values import Needs, Source

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
    misrecovered = needs.misrecovered if job.method.reversible else ()
    bits = needs.bits if job.method.hidden_bits else ()
    publish = _union(needs.published, recovered)
    everything = _union(needs.original, needs.reference, publish, misrecovered, bits)
    collector = _Collector(job, executor, everything)
    by_seed: dict[int, dict[Source, Gathered]] = {}
    for seed in _seeds(job, needs):
        also = _union(misrecovered, bits) if seed == job.seed else ()
        published = collector.publish(
            _union(publish, also), needs.published, _union(recovered, also), seed
        )
        by_seed[seed] = {"published": published}
        if job.method.reversible:
            by_seed[seed]["recovered"] = collector.recover(published, recovered, seed)
    own = by_seed[job.seed]
    password = collector.password(own["published"], bits) if bits else None
    misled = None
    if misrecovered:
        for source, number in WRONG_KEYS.items():
            own[source] = collector.recover(own["published"], misrecovered, job.seed, number)
        misled = collector.mislead(own["published"], misrecovered)
    by_seed[job.seed] = {
        "original": Gathered(
            needs.original, "originals", collector.originals, faces=collector.faces
        ),
        "reference": collector.reference(needs.reference),
        **own,
    }
    for judge in job.judges:
        for sources in by_seed.values():
            for source, gathered in sources.items():
                collector.judge(judge, source, gathered)
    return Collected(job, collector.frame, collector.faces, by_seed, password, misled)


def _seeds(job: Job, needs: Needs) -> range:
    """The run's own seed and those that follow; a method that draws nothing needs one."""
    return range(job.seed, job.seed + (1 if job.method.key == "none" else needs.seeds))


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
        self._aligned = any(judge.template for judge in job.judges)
        self.originals = Originals(job.dataset.card, str(job.dataset.root))
        self.frame = Frame(job.method.template, job.setup.presentation, self.originals)
        self.faces = self._find_in_originals(job.detector, ids)
        self._recipient = Recipient(
            job.method,
            job.setup.presentation,
            job.dataset.card,
            job.detector,
            job.config.device,
        )

    def _template(self, name: str) -> list[Any]:
        return [name, self._job.setup.templates[name]]

    # ------------------------------------------------------------------------------------- faces
    def _find_in_originals(self, detector: JudgeCard, ids: Ids) -> Artefact:
        job, card = self._job, self._job.dataset.card
        key: dict[str, Any] = {
            "dataset": [key_of(job.dataset_ref), job.dataset_ref.manifest],
            "detector": key_of(job.ref_of(detector)),
            "upsample": card.upsample,
            "fallback": list(card.fallback_box),
        }
        if card.aligned:
            key["aligned"] = card.aligned
        stage = FindFaces(
            self._finding(detector, "originals"),
            key,
            self.originals,
            detector=detector,
            upsample=card.upsample,
        )
        return self._executor.run(stage, ids)

    def _find_in(
        self, detector: JudgeCard, label: str, images: Published, stored: Artefact, ids: Ids
    ) -> Artefact:
        """The faces in published or recovered images, or in crops of originals."""
        job = self._job
        upsample = CROP_UPSAMPLE if self._cropped else job.dataset.card.upsample
        stage = FindFaces(
            self._finding(detector, label),
            {"images": stored.key, "detector": key_of(job.ref_of(detector)), "upsample": upsample},
            images,
            stored_images=stored,
            stored_faces=self.faces,
            detector=detector,
            upsample=upsample,
            carry_to=job.method.template if self._cropped else "",
        )
        return self._executor.run(stage, ids)

    def _finding(self, detector: JudgeCard, label: str) -> str:
        by = "" if detector == self._job.detector else f" with {detector.name}"
        return f"find faces in {label}{by}"

    # ------------------------------------------------------------------------------------ images
    def reference(self, ids: Ids) -> Gathered:
        """Originals in the frame of what is published: crops, or pictures as they are."""
        if not self._cropped:
            return Gathered(ids, "originals", self.originals, faces=self.faces)
        label, images, template = "originals' crops", Published("png"), self._job.method.template
        if not ids:
            return Gathered(ids, label, images)
        stage = Crop(
            "crop originals",
            {"faces": self.faces.key, "template": self._template(template)},
            self.originals,
            stored_faces=self.faces,
            template=template,
        )
        source = Gathered(ids, label, images, self._executor.run(stage, ids))
        return self._seen(source, ids if self._aligned else ())

    def _seen(self, source: Gathered, ids: Ids) -> Gathered:
        """The same, with its faces where a judge needs aligned ones."""
        if source.stored and ids:
            source.faces = self._find_in(
                self._job.detector, source.label, _published(source), source.stored, ids
            )
        return source

    def publish(self, ids: Ids, judged: Ids, realign: Ids, seed: int) -> Gathered:
        """Anonymize images.

        Args:
            ids: Samples to publish.
            judged: Those of them that are judged.
            realign: Those of them that a recipient would have to align anew in a picture.
            seed: What the method's randomness derives from.
        """
        job, setup, name = self._job, self._job.setup, self._job.method.name
        beside: dict[str, Any] = {"latent": True} if job.method.needs_latent else {}
        if job.method.remarks:
            beside |= {"remarks": list(job.method.remarks)}
        if job.method.hidden_bits:
            beside |= {"hidden": True, **_code(job.method)}
        stage = Publish(
            f"anonymize with {name}",
            {
                "faces": self.faces.key,
                "method": key_of(job.method_ref),
                "template": self._template(job.method.template),
                "seed": seed,
                "channel": setup.channel,
                "presentation": setup.presentation,
                **beside,
                **job.numerics,
            },
            self.originals,
            stored_faces=self.faces,
            method=job.method,
            seed=seed,
            channel=setup.channel,
            presentation=setup.presentation,
            device=job.config.device,
        )
        stored, images = self._executor.run(stage, ids), Published(setup.channel)
        look = _union(judged if self._aligned else (), () if self._cropped else realign)
        remarks = sum_up(job.method, stored, ids)
        return self._seen(Gathered(judged, f"{name} images", images, stored, remarks=remarks), look)

    def recover(self, published: Gathered, ids: Ids, seed: int, wrong_key: int = 0) -> Gathered:
        """Recover images from published ones, also with the wrong key of some number."""
        wrong = f" with wrong key {wrong_key}" if wrong_key else ""
        job, label = self._job, f"{self._job.method.name} recovered{wrong}"
        images = Published(local(job.setup.channel))
        if not ids:
            return Gathered(ids, label, images)
        stage = Recover(
            f"recover with {job.method.name}{wrong}",
            self._received_key(published) | ({"wrong_key": wrong_key} if wrong_key else {}),
            Published(job.setup.channel),
            stored_images=published.stored,
            stored_faces=self._received_faces(published),
            recipient=self._recipient,
            seed=seed,
            wrong_key=wrong_key,
        )
        source = Gathered(ids, label, images, self._executor.run(stage, ids))
        return self._seen(source, ids if self._aligned else ())

    def mislead(self, published: Gathered, ids: Ids) -> Artefact | None:
        """Recover images with some bits of the password wrong, where the method can."""
        job = self._job
        if not job.method.password_bits:
            return None
        stage = RecoverWithWrongBits(
            f"recover with {job.method.name} and wrong bits",
            self._received_key(published) | {"password_bits": job.method.password_bits},
            Published(job.setup.channel),
            stored_images=published.stored,
            stored_faces=self._received_faces(published),
            recipient=self._recipient,
            seed=job.seed,
        )
        return self._executor.run(stage, ids)

    def _received_faces(self, published: Gathered) -> Artefact | None:
        """Faces that a recipient may use: those of published pictures, none for crops."""
        return None if self._cropped else published.faces

    def _received_key(self, published: Gathered) -> dict[str, Any]:
        """What decides the crops that a recipient gives the method: method and seed included."""
        key: dict[str, Any] = {"images": _key(published.stored), **self._job.numerics}
        if faces := self._received_faces(published):
            fallback = list(self._job.dataset.card.fallback_box)
            key |= {"faces": faces.key, "fallback": fallback}
        return key

    # ------------------------------------------------------------------------- judges and bits
    def judge(self, judge: JudgeCard, name: Source, source: Gathered) -> None:
        """Let a judge see a source, where it has anything to say about it."""
        if not source.ids:
            return
        if judge.kind == "recognition":
            artefact = self._executor.run(self._embed(judge, source), source.ids)
        elif judge.kind == "perceptual" and name in ("published", "recovered"):
            artefact = self._executor.run(self._compare(judge, source), source.ids)
        elif judge.kind == "detection" and name != "original":
            artefact = self._detect(judge, source)
        elif judge.traits and name != "original":
            artefact = self._executor.run(self._describe(judge, source), source.ids)
        else:
            return
        source.judged[judge.name] = artefact

    def _embed(self, judge: JudgeCard, source: Gathered) -> Stage:
        return Embed(
            f"embed {source.label} with {judge.name}",
            self._aligned_key(judge, source),
            source.images,
            stored_images=source.stored,
            stored_faces=source.faces,
            judge=judge,
            device=self._job.config.device,
        )

    def _compare(self, judge: JudgeCard, source: Gathered) -> Stage:
        return Compare(
            f"compare {source.label} by {judge.name}",
            {
                "images": _key(source.stored),
                "judge": key_of(self._job.judge_refs[judge.name]),
                **self._job.numerics,
            },
            _published(source),
            stored_images=source.stored,
            stored_faces=self.faces,
            frame=self.frame,
            judge=judge,
            device=self._job.config.device,
        )

    def _detect(self, judge: JudgeCard, source: Gathered) -> Artefact:
        if source.stored is None:
            return self._find_in_originals(judge, source.ids)
        return self._find_in(judge, source.label, _published(source), source.stored, source.ids)

    def _describe(self, judge: JudgeCard, source: Gathered) -> Stage:
        """A judge with a template sees aligned faces, one without the method's crops."""
        key = {
            "images": _key(source.stored),
            "faces": self.faces.key,
            "crop": self._template(self._job.method.template),
            "judge": key_of(self._job.judge_refs[judge.name]),
            **self._job.numerics,
        }
        return Describe(
            f"describe {source.label} by {judge.name}",
            self._aligned_key(judge, source) if judge.template else key,
            source.images,
            stored_images=source.stored,
            stored_faces=source.faces if judge.template else self.faces,
            frame=self.frame,
            judge=judge,
            device=self._job.config.device,
        )

    def _aligned_key(self, judge: JudgeCard, source: Gathered) -> dict[str, Any]:
        return {
            "faces": _key(source.faces),
            "judge": key_of(self._job.judge_refs[judge.name]),
            "template": self._template(judge.template),
            **self._job.numerics,
        }

    def password(self, published: Gathered, ids: Ids) -> Password:
        """The bits hidden in published images, and those read from them."""
        stage = ReadPassword(
            f"bits read by {self._job.method.name}",
            self._received_key(published) | _code(self._job.method),
            Published(self._job.setup.channel),
            stored_images=published.stored,
            stored_faces=self._received_faces(published),
            recipient=self._recipient,
        )
        return Password(ids, _stored(published), self._executor.run(stage, ids))


def _code(method: MethodCard) -> dict[str, Any]:
    """The code of hidden bits, where it is the method's own."""
    return {"format": "learned"} if method.hidden_format == "learned" else {}


def _key(artefact: Artefact | None) -> str:
    return artefact.key if artefact else ""


def _stored(source: Gathered) -> Artefact:
    """The rows of a source that is stored."""
    if source.stored is None:
        raise TypeError(f"{source.label} are not stored")
    return source.stored


def _published(source: Gathered) -> Published:
    """The images of a source that is stored."""
    if not isinstance(source.images, Published):
        raise TypeError(f"{source.label} are not stored images")
    return source.images
