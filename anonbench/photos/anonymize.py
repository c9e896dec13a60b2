"""Photos in, anonymized photos out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anonbench.cards import JudgeCard, MethodCard
from anonbench.data.align import paste_back, template
from anonbench.data.images import encode_png, read_image
from anonbench.data.splice import kept, splice
from anonbench.data.warp import Floats, Pixels, zoom_of
from anonbench.engine import models
from anonbench.engine.job import method_ref
from anonbench.errors import BadConfig
from anonbench.files import atomic_write
from anonbench.photos import sidecar as sidecars
from anonbench.photos.crops import Machine, rounds
from anonbench.photos.keys import Keys, new_keys, new_salt, require_secret
from anonbench.photos.outcome import Outcome, attempt
from anonbench.photos.record import KEYWORD, FaceRecord, PhotoRecord, public_ref
from anonbench.photos.undo import can_undo, instead, why_not
from anonbench.values import Face


@dataclass(frozen=True)
class Anonymizer:
    """A method at work on photos.

    Attributes:
        method: Its card.
        detector: The judge that finds the faces.
        machine: Where it runs.
        secret: The user's secret, or empty.
        upsample: How often a photo is doubled to find smaller faces.
        sidecar: Whether a sidecar is written beside each photo.
        force: Whether existing files are overwritten.
    """

    method: MethodCard
    detector: JudgeCard
    machine: Machine
    secret: str = ""
    upsample: int = 1
    sidecar: bool = False
    force: bool = False

    def run(self, photos: Sequence[Path], targets: Sequence[Path]) -> Iterator[Outcome]:
        """Anonymize photos one after the other.

        Args:
            photos: Files to read.
            targets: The PNG to write for each.

        Raises:
            UserError: Something is wrong that concerns them all.
        """
        require_secret(self.method, self.secret)
        if self.sidecar:
            self._require_use()
            sidecars.require_cipher()
        self.machine.prepare([*self.method.weights, *self.detector.weights])
        models.method(self.method, self.machine.torch_device())  # settings are checked here
        for photo, target in zip(photos, targets, strict=True):
            yield self._one(photo, target)

    def _require_use(self) -> None:
        if not can_undo(self.method):
            raise BadConfig(
                f"A sidecar would be of no use: {why_not(self.method)}",
                mend=f"Leave out --sidecar. {instead(self.method)}".strip(),
            )
        if not self.secret:
            raise BadConfig(
                "A sidecar is encrypted, and there is no secret.",
                why="With it anyone could recover the photo.",
                mend="Add --key SECRET, or leave out --sidecar.",
            )

    def _one(self, photo: Path, target: Path) -> Outcome:
        writes = [target, sidecars.beside(target)]
        return attempt(photo, writes, self.force, lambda: self._anonymize(photo, target))

    def _anonymize(self, photo: Path, target: Path) -> Outcome:
        image = read_image(photo)
        faces = models.detector(self.detector).detect(image, self.upsample)
        if not faces:
            return Outcome(photo, "no face", reason=f"No face was found by {self.detector.name}.")
        salt = new_salt()
        keys = new_keys(self.method, self.secret, salt)
        result, crops, matrices = self._replace(image, faces, keys)
        if not can_undo(self.method):
            return self._write(photo, target, result, len(faces))
        shares = [kept(result, crop, m) for crop, m in zip(crops, matrices, strict=True)]
        record = PhotoRecord(
            method=public_ref(method_ref(self.method), self.method),
            template=self.method.template,
            width=image.shape[1],
            height=image.shape[0],
            salt=salt.hex(),
            keyed=bool(self.secret),
            faces=tuple(
                FaceRecord(matrix=m.tolist(), kept=share)
                for m, share in zip(matrices, shares, strict=True)
            ),
        )
        sealed = sidecars.seal(record, crops, keys) if self.sidecar else b""
        return self._write(photo, target, result, len(faces), record, sealed)

    def _replace(
        self, image: Pixels, faces: Sequence[Face], keys: Keys
    ) -> tuple[Pixels, list[Pixels], list[Floats]]:
        """The image with anonymized crops, these crops, and their matrices; small ones first.

        Where crops overlap the later one stays whole, so the larger ones come last.
        """
        frame = template(self.method.template)
        pairs = [(frame.matrix(face), face) for face in faces]
        pairs.sort(key=lambda pair: -zoom_of(pair[0]))
        matrices = [matrix for matrix, _ in pairs]
        crops: dict[int, Pixels] = {}
        for group in rounds(matrices, frame.size):
            before = [frame.crop(image, pairs[n][1]) for n in group]
            numbered = [keys.face(n) for n in group]
            after = self.machine.run("anonymize", self.method, before, numbered)
            for n, old, new in zip(group, before, after, strict=True):
                image = self._put(image, old, new, matrices[n])
                crops[n] = new
        return image, [crops[n] for n in range(len(pairs))], matrices

    def _put(self, image: Pixels, before: Pixels, after: Pixels, matrix: Floats) -> Pixels:
        if can_undo(self.method):
            return splice(image, before, after, matrix)
        return paste_back(image, after, matrix)

    def _write(
        self,
        photo: Path,
        target: Path,
        result: Pixels,
        faces: int,
        record: PhotoRecord | None = None,
        sealed: bytes = b"",
    ) -> Outcome:
        text = {KEYWORD: record.model_dump_json()} if record else {}
        beside = sidecars.beside(target)
        if sealed:
            atomic_write(beside, lambda path: path.write_bytes(sealed))
        atomic_write(target, lambda path: path.write_bytes(encode_png(result, text)))
        if not sealed:
            beside.unlink(missing_ok=True)  # of a photo that was there before
        return Outcome(
            photo,
            "done",
            output=target,
            sidecar=beside if sealed else None,
            faces=faces,
            kept=tuple(face.kept for face in record.faces) if record else (),
        )
