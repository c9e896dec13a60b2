"""Where the landmarks of a crop's face are."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anonbench import registry
from anonbench.data.align import most_central
from anonbench.judges.dlib_hog import DlibHog, fit
from anonbench.values import Face

USUAL_BOX = np.array([31.0, 46.0, 93.0, 108.0])
"""Where dlib finds the face in a crop of the template `ciagan-128`: the median of 60 images of
deep-funneled LFW. It found one around the centre in every one of them; each side of its boxes
varies by 3 to 4 pixels (standard deviation)."""


class Located(NamedTuple):
    """Landmarks of one crop.

    Attributes:
        points: 68 iBUG landmarks `[68, 2]` in pixels of the crop.
        found: Whether they are those of a face that the detector found.
    """

    points: NDArray[np.float64]
    found: bool


class LandmarkFinder:
    """dlib's detector and landmarks, which the authors use, in crops of the template `ciagan-128`.

    Only a face around the crop's centre counts: that is where the template has the eyes of the
    face that the crop is about, and anybody else's would leave it as it is. Where the detector
    finds none there, landmarks are fitted into the box where it usually does, so that every crop
    has some and no face is published unchanged.
    """

    def __init__(self) -> None:
        self._detector = DlibHog(registry.judges.card("dlib-hog"), "cpu")

    def locate(self, crop: Tensor) -> Located:
        """The landmarks of a crop `[3, 128, 128]` in `[0, 1]`.

        Raises:
            MissingArtefact: dlib's landmark predictors have not been fetched.
        """
        pixels = (crop * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        height, width = pixels.shape[:2]
        centre = np.array([width - 1, height - 1]) / 2
        there = [face for face in self._detector.detect(pixels) if _holds(face, centre)]
        face = most_central(there, width, height)
        box = USUAL_BOX if face is None else face.box
        return Located(fit("dlib-shape-predictor-68", pixels, box), face is not None)


def _holds(face: Face, place: NDArray[np.float64]) -> bool:
    return bool((face.box[:2] <= place).all() and (place <= face.box[2:]).all())
