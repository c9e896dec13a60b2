"""MediaPipe's Face Landmarker: 478 points in space, 52 blendshapes and the pose of a head."""

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
import torch
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision
from numpy.typing import NDArray
from torch import Tensor

from anonbench import weights
from anonbench.cards import JudgeCard
from anonbench.errors import BadConfig
from anonbench.judges.angles import of_rotation


class MediaPipeFace:
    """A face detector, a landmark network and a blendshape network in one file, by Google.

    The face is the surest one in the crop. Points and mesh are in the crop's pixels, with the
    centre of the top left one at (0, 0); a mesh's z is in pixels, too, grows away from the camera
    and is 0 on average. The pose is that of the matrix by which MediaPipe lays its standard face
    over the one that it sees: yaw positive to the image's right, pitch positive up, roll positive
    clockwise in the image.

    Args:
        card: Names the `.task` file.
        device: Ignored; MediaPipe runs on the CPU.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadConfig: MediaPipe cannot start here.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        file = weights.path(card.weights[0])
        try:
            with _quiet():
                self._landmarker = _landmarker(file)
        except (OSError, RuntimeError, ValueError) as error:
            raise BadConfig(
                f"The judge '{card.name}' cannot start.",
                why=f"MediaPipe says: {str(error).splitlines()[0]}",
                mend="On Linux it needs the system's libraries libEGL.so.1 and libGLESv2.so.2, "
                "on Debian and Ubuntu: apt-get install libegl1 libgles2",
            ) from error
        # Left to itself it closes so late in the interpreter's end that it fails, audibly.
        weakref.finalize(self, self._landmarker.close)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """What it sees in crops `[B, 3, H, W]` in `[0, 1]`, each at 8 bits and by itself.

        Returns:
            `points` `[B, 956]`, `mesh` `[B, 1434]`, `expression` `[B, 52]` (blendshape scores in
            `[0, 1]` in MediaPipe's order, the neutral one first) and `pose` `[B, 3]` (yaw, pitch
            and roll in degrees), each row NaN where there is no face.
        """
        pixels = (crops.detach().float().clamp(0, 1) * 255).round().byte()
        images = pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        rows = np.full((len(images), sum(self.card.traits.values())), np.nan, np.float32)
        for row, image in zip(rows, images, strict=True):
            self._fill(row, image)
        lengths = list(self.card.traits.values())
        split = torch.split(torch.from_numpy(rows).to(crops.device), lengths, dim=1)
        return dict(zip(self.card.traits, split, strict=True))

    def _fill(self, row: NDArray[np.float32], image: NDArray[np.uint8]) -> None:
        """Write the traits of the face in an image behind one another, if there is a face."""
        seen = self._landmarker.detect(
            mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        )
        if not seen.face_landmarks:
            return
        height, width = image.shape[:2]
        unit = np.array([(p.x, p.y, p.z) for p in seen.face_landmarks[0]])
        # MediaPipe's unit is the image from edge to edge, and z is scaled as x is.
        mesh = unit * (width, height, width) - (0.5, 0.5, 0)
        traits = {
            "points": mesh[:, :2].ravel(),
            "mesh": mesh.ravel(),
            "expression": np.array([shape.score for shape in seen.face_blendshapes[0]]),
            "pose": of_rotation(seen.facial_transformation_matrixes[0][:3, :3]),
        }
        row[:] = np.concatenate([traits[name] for name in self.card.traits])


def _landmarker(file: Path) -> Any:
    options = vision.FaceLandmarkerOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(file)),
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep away what C++ writes to standard error: MediaPipe's notes on starting have no switch."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
