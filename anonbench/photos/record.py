"""What a photo says about its own anonymization, in a text chunk of its PNG.

It holds no identity: the method, a salt, and where the crops lie. Whoever has it sees which parts
of the photo were replaced, and by what.
"""

from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anonbench import registry
from anonbench.cards import MethodCard
from anonbench.data.images import read_png_text
from anonbench.data.warp import Floats
from anonbench.errors import BadImage
from anonbench.results.record import PluginRef

KEYWORD = "anonbench"
"""Keyword of the PNG's text chunk."""

_Row = tuple[float, float, float]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FaceRecord(_Record):
    """One crop.

    Attributes:
        matrix: The similarity from photo pixels to crop pixels, two rows.
        kept: Share of the crop's numbers that can be cut out of the photo exactly.
    """

    matrix: tuple[_Row, _Row]
    kept: float

    @model_validator(mode="after")
    def _is_similarity(self) -> Self:
        (a, b, _), (c, d, _) = self.matrix
        if not (a * a + b * b > 1e-12 and abs(a - d) + abs(b + c) < 1e-6):
            raise ValueError("the matrix is no similarity")
        return self

    @property
    def array(self) -> Floats:
        """The matrix as `[2, 3]` float64."""
        return np.array(self.matrix)


class PhotoRecord(_Record):
    """How a photo was anonymized.

    Attributes:
        version: Of this format.
        method: The method with its settings and the hashes of its weights. Settings that name a
            file of the user's are left out.
        template: The alignment of the crops.
        width: Of the photo in pixels.
        height: Of the photo in pixels.
        salt: Of the photo's keys, in hexadecimal.
        keyed: Whether the keys come from a secret.
        faces: The crops in the order in which they were put into the photo.
    """

    version: Literal[1] = 1
    method: PluginRef
    template: str
    width: int
    height: int
    salt: str = Field(pattern="^[0-9a-f]{32}$")
    keyed: bool
    faces: tuple[FaceRecord, ...] = Field(min_length=1)

    @property
    def salt_bytes(self) -> bytes:
        """The salt."""
        return bytes.fromhex(self.salt)


def public_ref(ref: PluginRef, card: MethodCard) -> PluginRef:
    """A method's reference without the paths of the user's files."""
    config = {key: value for key, value in ref.config.items() if key not in card.file_config}
    return ref.model_copy(update={"config": config})


def parse(text: str | bytes, where: str) -> PhotoRecord:
    """A record from its JSON.

    Raises:
        BadImage: It is none, or of a later version of anonbench.
    """
    try:
        return PhotoRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadImage(
            f"The record of anonbench in {where} cannot be used.",
            why=f"{'.'.join(map(str, first['loc']))}: {first['msg']}.",
            mend="It is damaged, or a later version of anonbench wrote it.",
        ) from error


def read(photo: Path) -> PhotoRecord | None:
    """The record in a photo, or None where it carries none.

    Raises:
        BadImage: The photo or its record is damaged.
    """
    text = read_png_text(photo, KEYWORD)
    return None if text is None else parse(text, str(photo))


def method_of(record: PhotoRecord, spec: str, photo: Path) -> MethodCard:
    """The method that undoes a photo: as the record says, but for settings that the user gives.

    Args:
        record: The photo's.
        spec: `NAME` or `NAME:key=value`, as the user wrote it.
        photo: For messages.

    Raises:
        BadImage: The photo was made with another method, or with settings that it no longer has.
    """
    asked = registry.methods.parse(spec)
    plain = registry.methods.parse(asked.name)
    if record.method.name != asked.name:
        raise BadImage(
            f"{photo} was made with {record.method.name}, not with {asked.name}.",
            mend=f"Run: anonbench recover {record.method.name} {photo} --out DIR",
        )
    known = {
        key: type(value) for key, value in plain.config.items() if key not in plain.file_config
    }
    made_with = record.method.config
    unknown = sorted(key for key, value in made_with.items() if known.get(key) is not type(value))
    if unknown:
        raise BadImage(f"{photo} was made with settings unknown here: {', '.join(unknown)}.")
    given = {key: value for key, value in asked.config.items() if value != plain.config[key]}
    return plain.configured({**plain.config, **made_with, **given})
