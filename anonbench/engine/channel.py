"""The publication channel: what a recipient really gets of an anonymized image.

A method's output is clipped, rounded to 8 bits, encoded, and decoded again before a judge or
`recover` sees it. A channel is written as steps joined by `+`:

- `png`: lossless, the default;
- `jpeg:Q`, `webp:Q`: quality Q from 1 to 100 (JPEG with 4:2:0 chroma, as photo sites write it);
- `resize:S`: scaled by S (0 < S <= 4) and, at the recipient's, back to its size;
- `float`: alone, no rounding at all. The papers' practice, marked in every result, since no
  recipient ever has such an image.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonbench.data.images import decode_image, encode_png
from anonbench.errors import BadConfig

Kind = Literal["png", "float", "jpeg", "webp", "resize"]
_RANGES = {"jpeg": (1, 100), "webp": (1, 100), "resize": (0.01, 4)}


@dataclass(frozen=True)
class Step:
    """One step of a channel; `value` is its quality or scale."""

    kind: Kind
    value: float = 0


@dataclass(frozen=True)
class Channel:
    """A parsed channel; `str(channel)` is its canonical text, part of every key."""

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "Channel":
        """Read `png`, `jpeg:75`, `resize:0.5+jpeg:90` ...

        Raises:
            BadConfig: A step is unknown or its number is out of range.
        """
        steps = tuple(_parse_step(part, text) for part in text.lower().split("+"))
        if len(steps) > 1 and Step("float") in steps:
            raise BadConfig(f"The channel '{text}' mixes 'float' with other steps.")
        return cls(steps)

    def __str__(self) -> str:
        return "+".join(f"{s.kind}:{s.value:g}" if s.value else s.kind for s in self.steps)

    @property
    def is_float(self) -> bool:
        """Whether nothing is rounded."""
        return self.steps == (Step("float"),)

    def encode(self, image: NDArray[np.float32]) -> bytes:
        """The bytes that are published for an image `[H, W, 3]` in `[0, 1]`."""
        if self.is_float:
            buffer = io.BytesIO()
            np.save(buffer, image.astype(np.float32), allow_pickle=False)
            return buffer.getvalue()
        data = encode_png(to_uint8(image))
        for step in self.steps:
            data = _apply(step, data)
        return data

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """What a recipient sees: `[H, W, 3]` in `[0, 1]`."""
        if self.is_float:
            array: NDArray[np.float32] = np.load(io.BytesIO(data), allow_pickle=False)
            return array
        return decode_image(data).astype(np.float32) / np.float32(255)


def local(channel: str) -> str:
    """The channel by which a recovered image is kept: it never leaves its owner, so lossless.

    8-bit PNG, as an owner would look at it; float where the images were published so.
    """
    return "float" if Channel.parse(channel).is_float else "png"


def to_uint8(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Clip an image in `[0, 1]` and round it to 8 bits."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _parse_step(part: str, text: str) -> Step:
    kind, _, number = part.partition(":")
    if kind in ("png", "float") and not number:
        return Step(kind)  # type: ignore[arg-type]  # narrowed by the tuple above
    if kind in _RANGES:
        low, high = _RANGES[kind]
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if low <= value <= high:
            return Step(kind, value)  # type: ignore[arg-type]  # a key of _RANGES
        raise BadConfig(f"'{part}' in the channel '{text}' needs a number from {low} to {high}.")
    raise BadConfig(
        f"The channel '{text}' has an unknown step '{part}'.",
        mend="Use png, jpeg:Q, webp:Q, resize:S joined by '+', or float.",
    )


def _apply(step: Step, data: bytes) -> bytes:
    if step.kind == "png":
        return data
    image = Image.fromarray(decode_image(data))
    if step.kind == "resize":
        small = (max(1, round(image.width * step.value)), max(1, round(image.height * step.value)))
        resized = image.resize(small, Image.Resampling.LANCZOS)
        return encode_png(np.asarray(resized.resize(image.size, Image.Resampling.LANCZOS)))
    buffer = io.BytesIO()
    if step.kind == "jpeg":
        image.save(buffer, "JPEG", quality=int(step.value), subsampling="4:2:0")
    else:
        image.save(buffer, "WEBP", quality=int(step.value))
    return buffer.getvalue()
