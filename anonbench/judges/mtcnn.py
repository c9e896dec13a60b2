"""MTCNN through facenet-pytorch, whose wheel carries the weights."""

import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from torch.nn import functional

from anonbench.cards import JudgeCard
from anonbench.values import Face

_ONET_SIDE = 48


class Mtcnn:
    """Multi-task cascaded networks (Zhang et al. 2016): boxes and five landmarks.

    Coordinates are the port's own, which follow the original's convention of counting from 1 in
    part; they may reach outside the image.

    Args:
        card: Its config: `min_face` in pixels and the thresholds of the three networks.
        device: Where PyTorch runs it.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card, self._device = card, torch.device(device)
        self._min_face = int(card.config["min_face"])
        self._net = MTCNN(
            min_face_size=self._min_face,
            thresholds=[float(card.config[name]) for name in ("pnet", "rnet", "onet")],
            keep_all=True,
            selection_method="probability",
            device=self._device,
        ).eval()

    def detect(self, image: NDArray[np.uint8], upsample: int = 1) -> list[Face]:
        """All faces in an image, best score first.

        Args:
            image: `[H, W, 3]` uint8 RGB.
            upsample: Ignored; `min_face` decides how small a face may be.
        """
        if min(image.shape[:2]) < self._min_face:
            return []
        boxes, scores, points = self._net.detect(np.ascontiguousarray(image), landmarks=True)
        if boxes is None:
            return []
        faces = [
            Face(np.asarray(box, np.float64), float(score), np.asarray(five, np.float64))
            for box, score, five in zip(boxes, scores, points, strict=True)
        ]
        return sorted(faces, key=lambda face: -face.score)

    def landmarks(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> Face:
        """The face in a given box by the third network alone, whether there is one or not.

        Args:
            image: `[H, W, 3]` uint8 RGB.
            box: `(left, top, right, bottom)` in pixels; made square around its centre, and what
                lies outside the image is black.
        """
        left, top, side = _square(box)
        patch = torch.from_numpy(_cut(image, left, top, side)).permute(2, 0, 1)[None]
        small = functional.interpolate(patch.float(), size=(_ONET_SIDE,) * 2, mode="area")
        with torch.no_grad():
            _, points, scores = self._net.onet(((small - 127.5) / 128).to(self._device))
        unit = points[0].reshape(2, 5).T.double().cpu().numpy()
        return Face(
            box=np.asarray(box, np.float64),
            score=float(scores[0, 1]),
            points5=unit * side + (left, top),
        )


def _square(box: NDArray[np.float64]) -> tuple[int, int, int]:
    """Left, top and side, in whole pixels, of the square around a box."""
    side = max(1, round(float(max(box[2] - box[0], box[3] - box[1]))))
    return (
        round(float(box[0] + box[2] - side) / 2),
        round(float(box[1] + box[3] - side) / 2),
        side,
    )


def _cut(image: NDArray[np.uint8], left: int, top: int, side: int) -> NDArray[np.uint8]:
    """A square of an image, black where it reaches outside."""
    height, width = image.shape[:2]
    cut = np.zeros((side, side, 3), np.uint8)
    rows = slice(max(top, 0), max(0, min(top + side, height)))
    columns = slice(max(left, 0), max(0, min(left + side, width)))
    inside = image[rows, columns]
    down, across = rows.start - top, columns.start - left
    cut[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    return cut
