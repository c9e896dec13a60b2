"""Features of whole crops, in which sets of images are compared (`anonbench.metrics.frechet`)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from anonbench.cards import JudgeCard
from anonbench.judges.network import imported
from anonbench.nets.farl import Farl, shrink
from anonbench.nets.inception_fid import InceptionFid
from anonbench.nets.lpips import Lpips

_AT_ONCE = 8
"""Images at a time: the maps of one take up to 50 MB in either network."""
_VGG_SIZE = 224


class InceptionFeatures:
    """Inception-v3 as pytorch-fid publishes it: the features of FID and KID.

    Images are resized to 299 px inside the network, bilinearly and without antialiasing, as
    pytorch-fid does it.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadData: The file is not what its importer wrote.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = imported(InceptionFid, card.weights[0], device)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`features` `[B, 2048]`, at least 0, of crops `[B, 3, S, S]` in `[0, 1]`."""
        return {"features": _in_parts(self._net, crops)}


class Vgg16Features:
    """VGG16 of ImageNet: its last convolution's features, averaged over the image.

    The trunk is torchvision's, as LPIPS passes it on. Crops are resized to the 224 px that it was
    trained at, bilinearly and with antialiasing, and standardised by ImageNet's mean and
    deviation. Features are taken after the last ReLU, before the last pooling, at 14 x 14 places.
    Distances in them are `fd-vgg16` and `kd-vgg16`: no FID, and not comparable with one.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadData: The file is not what was published.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        with torch.inference_mode(False):
            self._net = Lpips.load("vgg").to(device)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`features` `[B, 512]`, at least 0, of crops `[B, 3, S, S]` in `[0, 1]`."""
        return {"features": _in_parts(self._features, crops)}

    def _features(self, crops: Tensor) -> Tensor:
        size = (_VGG_SIZE, _VGG_SIZE)
        images = interpolate(crops, size, mode="bilinear", align_corners=False, antialias=True)
        maps = (images * 2 - 1 - self._net.shift) / self._net.scale
        for stage in self._net.trunk:
            maps = stage(maps)
        return maps.mean(dim=(2, 3))


class FarlFeatures:
    """FaRL: features of faces by a vision transformer trained on 20 million of them and captions.

    Whole crops are resized to 224 px, bilinearly and with antialiasing, as FALCO does it, which
    finds neighbours by these features. Distances in them are `fd` and `kd`: no FID.

    Args:
        card: Names the network's file.
        device: Where PyTorch runs it.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadData: The file is not what its importer wrote.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._net = Farl.load(device)

    def describe(self, crops: Tensor) -> dict[str, Tensor]:
        """`features` `[B, 512]`, of any length, of crops `[B, 3, S, S]` in `[0, 1]`."""
        return {"features": _in_parts(lambda part: self._net(shrink(part)), crops)}


def _in_parts(compute: Callable[[Tensor], Tensor], crops: Tensor) -> Tensor:
    """The rows of few crops at a time; gradients are no judge's business."""
    with torch.no_grad():
        return torch.cat([compute(part) for part in torch.split(crops, _AT_ONCE)])
