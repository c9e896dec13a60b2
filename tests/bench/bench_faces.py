"""Finding faces: the judges beside the packages that they stand on, image by image.

Run: python tests/bench/run.py --only faces
Images are the demo's ORL faces (anonbench fetch orl), doubled to 184 x 224 pixels.
"""

from collections.abc import Callable, Iterator

import dlib
import numpy as np
from facenet_pytorch import MTCNN
from harness import Options, Row, rival
from PIL import Image

from anonbench import registry, weights
from anonbench.data.warp import Pixels
from anonbench.interfaces import Detector

Named = tuple[str, Callable[[Pixels], object]]


def rows(options: Options) -> Iterator[Row]:
    images = photos(4 if options.quick else 40)
    finder, plain = judge("dlib-hog"), dlib.get_frontal_face_detector()
    yield row(
        ("dlib-hog, with 5 and 68 points", lambda image: finder.detect(image, 1)),
        ("dlib, boxes alone", lambda image: plain(image, 1)),
        images,
        options,
    )
    network, single = judge("mtcnn"), MTCNN(keep_all=True)
    yield row(
        ("mtcnn", network.detect),
        ("facenet-pytorch's MTCNN", lambda image: single.detect(image, landmarks=True)),
        images,
        options,
    )


def judge(name: str) -> Detector:
    detector: Detector = registry.judges.load(name)(registry.judges.card(name), "cpu")
    return detector


def row(ours: Named, theirs: Named, images: list[Pixels], options: Options) -> Row:
    """Two ways of finding faces on the same images, in turn."""

    def over(find: Callable[[Pixels], object]) -> Callable[[], object]:
        return lambda: [find(image) for image in images]

    own, reference = rival(over(ours[1]), over(theirs[1]), options.turns)
    rate = len(images) / reference
    return Row(ours[0], len(images) / own, "images/s", theirs[0], rate, 1)


def photos(count: int) -> list[Pixels]:
    files = sorted(weights.path("orl").rglob("*.pgm"))[:count]
    return [
        np.asarray(Image.open(file).convert("RGB").resize((184, 224), Image.Resampling.BICUBIC))
        for file in files
    ]
