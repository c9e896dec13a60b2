"""Anonymized photos in, recovered photos out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anonbench import registry
from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.data.images import encode_png, read_image
from anonbench.data.splice import cut, splice
from anonbench.data.warp import Pixels
from anonbench.engine.job import method_ref
from anonbench.errors import BadConfig, BadImage
from anonbench.files import atomic_write
from anonbench.photos import record as records
from anonbench.photos import sidecar as sidecars
from anonbench.photos.crops import Machine, rounds
from anonbench.photos.keys import Keys, public_keys, require_secret, secret_keys
from anonbench.photos.outcome import Outcome, attempt
from anonbench.photos.record import PhotoRecord
from anonbench.photos.undo import can_undo, instead, why_not


@dataclass(frozen=True)
class _Published:
    """An anonymized photo and what is known about it."""

    image: Pixels
    record: PhotoRecord
    keys: Keys
    crops: list[Pixels] | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Recoverer:
    """A reversible method at work on photos that it anonymized.

    Attributes:
        spec: `NAME` or `NAME:key=value`; settings not given are those in the photo's record.
        machine: Where it runs.
        secret: The user's secret, or empty.
        force: Whether existing files are overwritten.
    """

    spec: str
    machine: Machine
    secret: str = ""
    force: bool = False

    def run(self, photos: Sequence[Path], targets: Sequence[Path]) -> Iterator[Outcome]:
        """Recover photos one after the other.

        Args:
            photos: Files to read.
            targets: The PNG to write for each.

        Raises:
            UserError: Something is wrong that concerns them all.
        """
        card = registry.methods.parse(self.spec)
        if not can_undo(card):
            raise BadConfig(why_not(card), mend=instead(card))
        require_secret(card, self.secret)
        self.machine.torch_device()
        for photo, target in zip(photos, targets, strict=True):
            yield self._one(photo, target)

    def _one(self, photo: Path, target: Path) -> Outcome:
        return attempt(photo, [target], self.force, lambda: self._recover(photo, target))

    def _recover(self, photo: Path, target: Path) -> Outcome:
        published = self._read(photo)
        record = published.record
        card = self._card(record, photo)
        result = self._restore(card, published)
        atomic_write(target, lambda path: path.write_bytes(encode_png(result)))
        return Outcome(
            photo,
            "done",
            output=target,
            source="sidecar" if published.crops else "photo",
            faces=len(record.faces),
            kept=tuple(face.kept for face in record.faces),
            notes=published.notes,
        )

    # -------------------------------------------------------------------------------- reading
    def _read(self, photo: Path) -> _Published:
        image = read_image(photo)
        record = records.read(photo)
        beside = sidecars.beside(photo)
        sealed = beside if beside.is_file() else None
        notes = []
        if sealed and not self.secret:
            notes.append(f"{sealed} was not used, since no --key was given")
            sealed = None
        keys = self._keys(photo, record, sealed)
        crops = None
        if sealed:
            record, crops = sidecars.unseal(sealed, keys)
        if record is None:
            raise _no_record(photo)
        if record.keyed and not self.secret:
            notes.append("made with a key, recovered without it")
        if (record.height, record.width) != image.shape[:2]:
            raise BadImage(
                f"{photo} was scaled or cut since it was anonymized.",
                why=f"It had {record.width} x {record.height} pixels then and has "
                f"{image.shape[1]} x {image.shape[0]} now.",
            )
        return _Published(image, record, keys, crops, tuple(notes))

    def _keys(self, photo: Path, record: PhotoRecord | None, sealed: Path | None) -> Keys:
        if sealed:
            salt = sidecars.salt_of(sealed)
            if record and record.salt_bytes != salt:
                raise BadImage(
                    f"The sidecar {sealed} belongs to another photo than {photo}.",
                    mend="Move it away to recover from the photo's own pixels.",
                )
            return secret_keys(self.secret, salt)
        if record is None:
            raise _no_record(photo)
        if record.keyed and self.secret:
            return secret_keys(self.secret, record.salt_bytes)
        return public_keys(record.salt_bytes)

    def _card(self, record: PhotoRecord, photo: Path) -> MethodCard:
        """The method that made a photo, exactly that."""
        card = records.method_of(record, self.spec, photo)
        self.machine.prepare(card.weights)
        here, there = method_ref(card), record.method
        if (here.version, here.weights) != (there.version, there.weights):
            names = sorted(dict(here.weights.items() ^ there.weights.items()))
            raise BadImage(
                f"{photo} was made with another version of {card.name} or with other weights.",
                why=f"Version {there.version} then, {here.version} here; weights that differ: "
                f"{', '.join(names) or 'none'}. Others would show somebody else.",
                mend="Use the anonbench, and the weights, that it was made with.",
            )
        if record.template != card.template:
            raise BadImage(
                f"{photo} was aligned as {record.template}, but {card.name} works on "
                f"{card.template}."
            )
        return card

    # ------------------------------------------------------------------------------ restoring
    def _restore(self, card: MethodCard, published: _Published) -> Pixels:
        """The photo with recovered crops, the last one that was put in first."""
        size = template(card.template).size
        image, crops = published.image, published.crops
        matrices = [face.array for face in published.record.faces]
        for group in reversed(rounds(matrices, size)):
            before = [crops[n] if crops else cut(image, matrices[n], size) for n in group]
            keys = [published.keys.face(n) for n in group]
            after = self.machine.run("recover", card, before, keys)
            for n, old, new in zip(group, before, after, strict=True):
                image = splice(image, old, new, matrices[n], exactly=False)
        return image


def _no_record(photo: Path) -> BadImage:
    return BadImage(
        f"{photo} does not say where its faces are, and no sidecar does.",
        why="It was not written by `anonbench anonymize` with a reversible method, or a program "
        "or a site through which it went dropped the PNG's text. Faces that were found anew "
        "would not be aligned to the pixel, so nothing is guessed.",
        mend="Recover from the file that anonymize wrote, or with its sidecar beside it and --key.",
    )
