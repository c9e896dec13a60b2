"""For trainings at 32 pixels: toy priors, synthetic crops, a spy on what is called."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from anonbench.generative.training import FusionTraining
from anonbench.generative.training_priors import Priors
from anonbench.nets.lpips import Lpips
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench.training.loop import Loop
from anonbench.training.settings import Config, Data, Run

SIZE, FLOATS, COEFFICIENTS, COUNT = 32, 8, 4, 12


class ToyPriors(Priors):
    """Random projections of a few colours."""

    identity_size, geometry_size = FLOATS, COEFFICIENTS

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        shape = (FLOATS + COEFFICIENTS, 3 * 4 * 4)
        self.register_buffer("matrix", torch.randn(shape, generator=random), persistent=False)

    def embed(self, images: Tensor) -> Tensor:
        return functional.linear(self._colours(images), self.matrix[:FLOATS])

    def coefficients(self, images: Tensor) -> Tensor:
        return functional.linear(self._colours(images), self.matrix[FLOATS:])

    def steering(self, coefficients: Tensor) -> Tensor:
        return coefficients

    def geometry_loss(self, original: Tensor, output: Tensor) -> Tensor:
        return functional.mse_loss(output.float(), original)

    def _colours(self, images: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(images.float(), 4).flatten(1)


SMALL: dict[str, Any] = {
    "image": SIZE,
    "style": 16,
    "channel_base": 256,
    "channel_max": 8,
    "rows": (4, 2, 2),
    "extractor_width": 8,
    "lpips": "alex",
    "warmup": 1,
    "r1_every": 2,
}
"""Settings of a training that takes a fraction of a second a step."""


class DrawingPriors(ToyPriors):
    """Draws mirrored images."""

    def render(self, images: Tensor, identity: Tensor, coefficients: Tensor) -> Tensor:
        return images.flip(3)


class FittedPriors(ToyPriors):
    """Toy priors that one value is fitted of, by torch's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.geometry = nn.BatchNorm1d(1, affine=False)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {"geometry": self.geometry}

    @property
    def ready(self) -> bool:
        return bool(self.geometry.num_batches_tracked)

    def prepare(self, crops: Crops) -> None:
        self.geometry.train()(torch.rand(4, 1))


def face_points(size: int = SIZE) -> np.ndarray:
    """68 landmarks `[68, 2]` of a drawn face in the middle of an image."""
    jaw = np.linspace(0, np.pi, 17)
    brows = np.linspace(-0.6, 0.6, 10)
    inner = np.linspace(0, 2 * np.pi, 41, endpoint=False)
    points = np.concatenate(
        [
            np.stack([-0.7 * np.cos(jaw), 0.9 * np.sin(jaw)], 1),
            np.stack([brows, np.full(10, -0.3)], 1),
            np.stack([0.4 * np.cos(inner), 0.1 + 0.4 * np.sin(inner) ** 3], 1),
        ]
    )
    return ((0.5 + 0.4 * points) * size).astype(np.float32)


def toy_crops(size: int = SIZE, count: int = COUNT) -> Crops:
    """Smooth random pictures whose landmarks differ a little."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    images = coarse.repeat(size // 4, axis=1).repeat(size // 4, axis=2)
    points = face_points(size) + random.normal(0, size / 60, (count, 68, 2))
    ids = tuple(f"{number}.png" for number in range(count))
    return Crops(images, points.astype(np.float32), np.ones(count, np.int64), ids, {})


def toy_batch(count: int = 4) -> Batch:
    crops = toy_crops()
    images = torch.from_numpy(crops.images[:count]).permute(0, 3, 1, 2).float() / 255
    return Batch(images, torch.from_numpy(crops.points[:count]), torch.arange(count))


@cache
def random_lpips(net: Literal["alex", "vgg"]) -> Lpips:
    """A perceptual loss whose weights nobody has to fetch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lpips = Lpips(net)
    for head in lpips.heads:
        head.weight.abs_()
    return lpips


class Calls:
    """Arguments and results of a module's calls as long as the block lasts."""

    def __init__(self, module: nn.Module) -> None:
        self.arguments: list[tuple[Any, ...]] = []
        self.results: list[Tensor] = []
        self._hook = module.register_forward_hook(self._note)

    def _note(self, module: nn.Module, arguments: tuple[Any, ...], result: Tensor) -> None:
        self.arguments.append(arguments)
        self.results.append(result.detach().clone())

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, *error: object) -> None:
        self._hook.remove()


def awake(networks: nn.Module) -> None:
    """Let bits matter from the first step on."""
    with torch.no_grad():
        for name, parameter in networks.named_parameters():
            if "hiding_injects" in name and parameter.ndim == 3 and "weight" in name:
                parameter.fill_(0.3)


def traced(
    training: FusionTraining[Any, Any],
    method: str,
    crops: Crops,
    run: Run,
    folder: Path,
    state: Any,
) -> tuple[list[dict[str, float]], Path]:
    """Train from a checkpoint's state or from nothing: the losses of each step, the checkpoint."""
    data = Data.model_validate({"template": "ffhq-32", "sources": [{"dataset": "folder"}]})
    config = Config(run, data, method, training.settings)
    loop = Loop(training, config, crops, Accelerator(cpu=True), folder)
    loop.start(state)
    trace: list[dict[str, float]] = []
    step = training.step

    def noted(batch: Batch, number: int) -> Mapping[str, float]:
        trace.append(dict(step(batch, number)))
        return trace[-1]

    training.step = noted
    return trace, loop.run(lambda step, losses: None, lambda: False).checkpoint
