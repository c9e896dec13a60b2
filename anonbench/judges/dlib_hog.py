"""dlib's frontal face detector with its 5-point and 68-point landmark predictors."""

from functools import cache

import dlib
import numpy as np
from numpy.typing import NDArray

from anonbench import weights
from anonbench.cards import JudgeCard
from anonbench.data.align import points5_of
from anonbench.values import Face


class DlibHog:
    """HOG detection (King 2015, "Max-Margin Object Detection") and landmarks.

    Boxes are dlib's own: whole pixels, both corners inside the box, and they may reach outside
    the image.

    Args:
        card: Its config: `threshold`, above which a detection counts.
        device: Ignored; dlib's HOG runs on the CPU.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._threshold = float(card.config["threshold"])
        self._detector = dlib.get_frontal_face_detector()

    def detect(self, image: NDArray[np.uint8], upsample: int = 1) -> list[Face]:
        """All faces in an image, best score first.

        Args:
            image: `[H, W, 3]` uint8 RGB.
            upsample: How often the image is doubled first; 0 finds faces of 80 pixels or more,
                1 of 40, 2 of 20.
        """
        pixels = np.ascontiguousarray(image)
        boxes, scores, _ = self._detector.run(pixels, upsample, self._threshold)
        found = sorted(zip(scores, boxes, strict=True), key=lambda pair: -pair[0])
        return [_face(pixels, box, score) for score, box in found]

    def landmarks(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> Face:
        """The face in a given box, whether there is one or not, with score 0.

        Args:
            image: `[H, W, 3]` uint8 RGB.
            box: `(left, top, right, bottom)` in pixels; rounded to whole ones.
        """
        return _face(np.ascontiguousarray(image), _rectangle(box), 0.0)


def fit(predictor: str, image: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Landmarks `[N, 2]` of one of dlib's predictors, fitted into a box.

    Args:
        predictor: `dlib-shape-predictor-5` or `dlib-shape-predictor-68`.
        image: `[H, W, 3]` uint8 RGB.
        box: `(left, top, right, bottom)` in pixels; rounded to whole ones.

    Raises:
        MissingArtefact: The predictor has not been fetched.
    """
    return _points(predictor, np.ascontiguousarray(image), _rectangle(box))


def _face(image: NDArray[np.uint8], box: dlib.rectangle, score: float) -> Face:
    points68 = _points("dlib-shape-predictor-68", image, box)
    return Face(
        box=np.array([box.left(), box.top(), box.right(), box.bottom()], dtype=np.float64),
        score=float(score),
        points5=points5_of(points68),
        points68=points68,
        dlib5=_points("dlib-shape-predictor-5", image, box),
    )


def _points(predictor: str, image: NDArray[np.uint8], box: dlib.rectangle) -> NDArray[np.float64]:
    shape = _predictor(predictor)(image, box)
    return np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float64)


def _rectangle(box: NDArray[np.float64]) -> dlib.rectangle:
    return dlib.rectangle(*(round(float(side)) for side in box))


@cache
def _predictor(name: str) -> dlib.shape_predictor:
    return dlib.shape_predictor(str(weights.path(name)))
