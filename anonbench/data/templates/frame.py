"""The template of methods that see the whole frame of LFW or CASIA-WebFace, not a close crop."""

from typing import ClassVar

from anonbench.data.templates.base import checked, complex_of, require_apart, similarity
from anonbench.data.templates.landmarks import Ffhq
from anonbench.data.warp import Border, Floats
from anonbench.values import Face


class Fit(Ffhq):
    """The frame of an image of LFW (250 x 250 pixels) as FIT sees it, from five landmarks.

    laoreja/face-identity-transformer takes images of CASIA-WebFace and LFW as a whole, scaled to
    128 pixels. Their frame is an upright square around a detector's box. So that any photograph
    can be cut like them, the frame is estimated from the landmarks. With `spread` the root of
    their summed squared distances from their mean, its side is 4.13 spreads (standard deviation
    0.26) and its centre 0.187 above the landmarks' mean (0.035): measured with dlib-hog on the
    first images of 150 people of deep-funneled LFW, where this square and the image overlap by
    0.91 of their union on average. Outside the image its edge pixels go on.

    An FFHQ-aligned image (`face.whole`) is taken as a whole, as the authors take FFHQ's thumbnails.
    """

    family = "fit"
    border: ClassVar[Border] = "edge"

    SIDE: ClassVar[float] = 4.13
    RISE: ClassVar[float] = 0.187

    def matrix(self, face: Face) -> Floats:
        """The translation and scaling that takes the estimated frame to the crop; see the class."""
        if face.whole is not None:
            return self._scaling(face.whole)
        left, right, _, mouth_left, mouth_right = points = complex_of(face.points5)
        require_apart(right - left, (mouth_left + mouth_right - left - right) / 2)
        spread = float((abs(points - points.mean()) ** 2).sum() ** 0.5)
        zoom = self.size / (self.SIDE * spread)
        centre = points.mean() - 1j * self.RISE * spread
        return checked(similarity(zoom, (self.size - 1) / 2 * (1 + 1j) - zoom * centre), self.size)
