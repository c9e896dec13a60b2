"""Who is in an image: what FIT's training learns to hide and to give back.

Both see faces by their landmarks in the original, as the authors do also for changed images.
"""

from abc import abstractmethod
from pathlib import PurePosixPath

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from anonbench import weights
from anonbench.nets import sphereface
from anonbench.nets.dlib_resnet import load_dlib_resnet
from anonbench.nets.sphereface import SphereFace20a
from anonbench.nets.state import load_state
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench.training.warps import aligned
from anonbench_fit.losses import angular_loss

_EYES = (slice(36, 42), slice(42, 48))
_NOSE, _MOUTH = 30, (48, 54)
# SphereFace's places of eyes, nose and mouth corners in 96 x 112 pixels, in -1..1 of each side
# (utils/util.py of the authors, who stretch a square to it).
_SPHERE = (
    torch.tensor(
        [
            [30.2946, 51.6963],
            [65.5318, 51.5014],
            [48.0252, 71.7366],
            [33.5493, 92.3655],
            [62.7299, 92.2041],
        ]
    )
    / torch.tensor([48.0, 56.0])
    - 1
)
# The landmarks that dlib's 5-point predictor marks, too, and their places in its chip, padded by
# 0.25 of the face on all sides (the constants of dlib's get_face_chip_details).
_DLIB_FIVE = (45, 42, 36, 39, 33)
_DLIB = (
    torch.tensor(
        [
            [0.8595674595992, 0.2134981538014],
            [0.6460604764104, 0.2289674387677],
            [0.1205750620789, 0.2137274526848],
            [0.3340850613712, 0.2290642403242],
            [0.4901123135679, 0.6277975316475],
        ]
    )
    + 0.25
) / 0.75 - 1
CHIP = 150
"""Side of a face as dlib's recogniser sees it."""
_STRANGERS = 0.8  # the mean distance of dlib's features of two people; it takes 0.6 as the border


class Recogniser(nn.Module):
    """Says whether the right person is seen in images.

    Attributes:
        trained: Whether it is trained along, to see through what the generator does.
    """

    trained: bool

    @abstractmethod
    def features(self, images: Tensor, points: Tensor) -> Tensor:
        """Features `[B, n]` of images `[B, 3, S, S]` in `[-1, 1]` with landmarks `[B, 68, 2]`."""

    @abstractmethod
    def unseen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        """A loss that is high where the right person is not seen in features `[B, n]`."""

    @abstractmethod
    def seen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        """A loss that is high where the right person is seen."""


class SphereRecogniser(Recogniser):
    """SphereFace-20a, trained along to tell the people of the training data apart (Eqs. 1, 7).

    Who is in a crop is said by the folder that its file stands in, as in CASIA-WebFace and LFW.
    Where there are as many people as in the published weights, people in order of their names are
    theirs; otherwise the last layer is drawn anew.

    Args:
        crops: The training data.

    Raises:
        MissingArtefact: The weights of SphereFace are not on this machine.
    """

    trained = True
    CALLS = 7
    """How often its loss is computed in a step, by which the margin grows."""

    def __init__(self, crops: Crops) -> None:
        super().__init__()
        names = [str(PurePosixPath(name).parent) for name in crops.ids]
        number = {name: place for place, name in enumerate(sorted(set(names)))}
        self._people = torch.tensor([number[name] for name in names])
        self.net = SphereFace20a(len(number))
        weights.require_by_hand(["sphereface-20a"])
        path = weights.path("sphereface-20a")
        state = load_file(path)
        if len(number) != sphereface.CLASSES:
            state["fc6.weight"] = self.net.fc6.weight.detach()
        load_state(self.net, state, source=str(path))

    def features(self, images: Tensor, points: Tensor) -> Tensor:
        """512 features of 96 x 112 pixels."""
        shape = sphereface.HEIGHT, sphereface.WIDTH
        crops = aligned(images, _five(points), _SPHERE, shape)
        found: Tensor = self.net(crops / 2 + 0.5)
        return found

    def unseen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        """The angular softmax loss."""
        people = self._people.to(batch.places.device)[batch.places]
        return angular_loss(self.net.classify(features), people, self.CALLS * step)

    def seen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        """Its negative."""
        return -self.unseen(features, batch, step)


class DlibRecogniser(Recogniser):
    """dlib's recogniser as it is, for small trainings: it needs no names.

    Raises:
        MissingArtefact: dlib's weights have not been fetched.
    """

    trained = False

    def __init__(self) -> None:
        super().__init__()
        net = load_dlib_resnet(weights.path("dlib-resnet")).requires_grad_(False)
        self._net = (net.to(memory_format=torch.channels_last),)  # in a tuple: it is no state

    def features(self, images: Tensor, points: Tensor) -> Tensor:
        """128 features of the face's chip."""
        net = self._net[0].to(images.device)
        found: Tensor = net(chips(images, points) / 2 + 0.5)
        return found

    def unseen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        """The distance of these features to the original's."""
        return self._apart(features, batch).mean()

    def seen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        """By how much that distance is less than the one of strangers."""
        return (_STRANGERS - self._apart(features, batch)).relu().mean()

    def _apart(self, features: Tensor, batch: Batch) -> Tensor:
        with torch.no_grad():
            original = self.features(batch.images * 2 - 1, batch.points)
        return ((features.float() - original.float()).square().sum(dim=1) + 1e-6).sqrt()


def chips(images: Tensor, points: Tensor) -> Tensor:
    """Faces `[B, 3, 150, 150]` as dlib's recogniser sees them."""
    return aligned(images, points[:, list(_DLIB_FIVE)], _DLIB, (CHIP, CHIP))


def _five(points: Tensor) -> Tensor:
    """Middles of the eyes, nose and mouth corners `[B, 5, 2]` of 68 landmarks."""
    eyes = [points[:, eye].mean(dim=1) for eye in _EYES]
    return torch.stack([*eyes, *(points[:, place] for place in (_NOSE, *_MOUTH))], dim=1)
