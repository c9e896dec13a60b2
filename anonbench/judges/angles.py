"""The angles of a head that all pose judges give: yaw, pitch and roll in degrees.

Yaw is positive where the face turns to the image's right, pitch where it looks up, roll where the
head is tilted clockwise in the image. A head that faces the camera takes its pose by the roll,
then the yaw, then the pitch, each about an axis of the camera: so it is in 300W-LP, on which most
pose estimators are trained, but that its yaw is positive to the image's left.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_SIGNS = (-1.0, 1.0, 1.0)


def from_300w_lp(angles: Tensor) -> Tensor:
    """Angles `[..., 3]` with the signs of 300W-LP, whose yaw is positive to the image's left."""
    return angles * angles.new_tensor(_SIGNS)


def of_rotation(rotation: NDArray[np.floating]) -> NDArray[np.float64]:
    """The angles `[3]` of a rotation `[3, 3]`, which may be scaled.

    Args:
        rotation: Takes a head that faces the camera to one that does not, with x to the image's
            right, y up and z towards the camera. Its columns are where the head's left ear, crown
            and nose point.
    """
    ahead = rotation[:, 2]
    return np.degrees(
        [
            np.arctan2(ahead[0], np.hypot(ahead[1], ahead[2])),
            np.arctan2(ahead[1], ahead[2]),
            np.arctan2(rotation[0, 1], rotation[0, 0]),
        ]
    )
