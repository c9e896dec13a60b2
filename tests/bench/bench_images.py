"""Cropping faces, reading and writing images, beside plain Pillow.

Run: python tests/bench/run.py --only images
One image after the other on one thread: the engine gives each worker process its own images.
"""

import io
from collections.abc import Callable, Iterator

import numpy as np
from harness import Options, Row, rival
from PIL import Image

from anonbench.data.align import paste_back, template
from anonbench.data.images import decode_image, encode_png
from anonbench.data.warp import Pixels, inverse
from anonbench.values import Face

TEMPLATES = ("ffhq-256", "arcface-112", "dlib-150", "d3dfr-224")
COUNT = 20


def rows(options: Options) -> Iterator[Row]:
    photo = picture(250)
    for name in TEMPLATES:
        yield crop(name, photo, options)
    yield paste(photo, options)
    yield from files(picture(256), options)


def picture(side: int) -> Pixels:
    """A smooth picture with noise, as a photo compresses."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    noisy = smooth + rng.integers(-6, 7, smooth.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def face() -> Face:
    """A face that fills the middle half of a picture of 250 pixels, as in LFW."""
    five = np.array([(100, 110), (150, 112), (125, 140), (105, 165), (147, 166)], np.float64)
    points = np.repeat(five, [6, 6, 5, 25, 26], axis=0)[:68]
    points[36:42], points[42:48], points[30] = five[0], five[1], five[2]
    points[48], points[54] = five[3], five[4]
    return Face(np.array([75, 75, 175, 185], np.float64), 1.0, five, points, five)


def crop(name: str, photo: Pixels, options: Options) -> Row:
    cut, found = template(name), face()
    back = inverse(cut.matrix(found)).ravel()
    size = (cut.size, cut.size)

    def plain() -> None:
        image = Image.fromarray(photo)
        image.transform(size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)

    own, reference = timed(lambda: cut.crop(photo, found), plain, options)
    return Row(f"crop {name}", own, "images/s", "Pillow's affine, it aliases", reference)


def paste(photo: Pixels, options: Options) -> Row:
    cut, found = template("ffhq-256"), face()
    matrix, image = cut.matrix(found), cut.crop(photo, found)

    def plain() -> None:
        patch = Image.fromarray(image).transform(
            photo.shape[1::-1],
            Image.Transform.AFFINE,
            matrix.ravel(),
            Image.Resampling.BICUBIC,
        )
        Image.fromarray(photo).paste(patch)

    own, reference = timed(lambda: paste_back(photo, image, matrix), plain, options)
    return Row("paste back ffhq-256", own, "images/s", "Pillow, hard edge", reference)


def files(image: Pixels, options: Options) -> Iterator[Row]:
    png, jpeg = encode_png(image), saved(image, "JPEG")
    own, reference = timed(lambda: encode_png(image), lambda: saved(image, "PNG"), options)
    sizes = f"{len(png) / 1024:.0f} KiB, Pillow's {len(saved(image, 'PNG')) / 1024:.0f}"
    yield Row("encode PNG 256", own, "images/s", "Pillow's default", reference, note=sizes)
    for kind, data in (("PNG", png), ("JPEG", jpeg)):
        own, reference = timed(
            lambda data=data: decode_image(data),
            lambda data=data: np.array(Image.open(io.BytesIO(data)).convert("RGB")),
            options,
        )
        yield Row(f"decode {kind} 256", own, "images/s", "Pillow alone", reference)


def saved(image: Pixels, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def timed(
    ours: Callable[[], object], theirs: Callable[[], object], options: Options
) -> tuple[float, float]:
    """Images a second of both, in turn."""

    def often(run: Callable[[], object]) -> Callable[[], object]:
        return lambda: [run() for _ in range(COUNT)]

    own, reference = rival(often(ours), often(theirs), options.turns)
    return COUNT / own, COUNT / reference
