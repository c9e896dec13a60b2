"""The template of FaceNet's recognisers: a detector's box with a margin, stretched to a square."""

from typing import ClassVar

import numpy as np

from anonbench.data.templates.base import Template, checked, complex_of, require_apart
from anonbench.data.warp import Border, Floats
from anonbench.values import Face


class FaceNet(Template):
    """MTCNN's upright box with a margin, stretched to a square, from five landmarks.

    davidsandberg/facenet cuts LFW so (src/align/align_dataset_mtcnn.py with the size 160 and the
    margin 32), and its training images nearly so: the box grows by 32 pixels of a 250-pixel
    image and is resized to a square, which makes faces a quarter broader than they are. As other
    detectors draw other boxes, the box is estimated from the landmarks. With `spread` the root of
    their summed squared distances from their mean, MTCNN's boxes in 600 images of LFW measure
    1.53 by 2.04 spreads, the margin 0.52. Their centres lie 0.15 above the landmarks' mean, and
    to the side by 1.8 times as much as the nose tip lies to the other, which happens where the
    head is turned. In 149 other images the crop so estimated overlaps facenet's by 0.92 of their
    union, and with dlib's landmarks by 0.91.

    Height and width are scaled differently, so `matrix` is no similarity here; it keeps upright
    what is upright, as the box does. Outside the image its edge pixels go on; facenet would
    stretch what is left of the box.
    """

    family = "facenet"
    border: ClassVar[Border] = "edge"

    WIDTH: ClassVar[float] = 2.05
    HEIGHT: ClassVar[float] = 2.56
    RISE: ClassVar[float] = 0.15
    AGAINST_NOSE: ClassVar[float] = 1.8

    def matrix(self, face: Face) -> Floats:
        """The scaling of both axes that takes the estimated rectangle to the crop."""
        left, right, _, mouth_left, mouth_right = complex_of(face.points5)
        require_apart(right - left, (mouth_left + mouth_right - left - right) / 2)
        mean = face.points5.mean(axis=0)
        spread = float(np.linalg.norm(face.points5 - mean))
        aside = self.AGAINST_NOSE * (face.points5[2, 0] - mean[0])
        centre = mean - np.array([aside, self.RISE * spread])
        scale = self.size / (spread * np.array([self.WIDTH, self.HEIGHT]))
        shift = (self.size - 1) / 2 - scale * centre
        return checked(np.column_stack([np.diag(scale), shift]), self.size)
