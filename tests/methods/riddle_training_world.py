"""RiDDLE's training among toy teachers: its own encryptor, everything else tiny."""

from functools import cache
from typing import Any

import torch
from accelerate import Accelerator
from generative_world import toy_crops
from torch import Tensor, nn
from torch.nn import functional

from anonbench.nets.bisenet import CLASSES
from anonbench.nets.lpips import Lpips
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench.training.sampling import Sampler
from anonbench_riddle.settings import Settings
from anonbench_riddle.training import RiddleTraining, Teachers

COUNT = 1


class ToyInverter(nn.Module):
    """Codes that are random projections of a few colours."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 4 * 4, 14 * 512)

    def forward(self, images: Tensor) -> Tensor:
        colours = functional.adaptive_avg_pool2d(images, 4).flatten(1)
        return self.head(colours).view(-1, 14, 512)


class ToyRecogniser(nn.Module):
    """Identities that are random projections of a few colours."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 7 * 7, 8)

    def forward(self, faces: Tensor) -> Tensor:
        assert faces.shape[1:] == (3, 112, 112)
        return self.head(functional.adaptive_avg_pool2d(faces, 7).flatten(1))


class CoarseLpips(Lpips):
    """Of images a quarter as large, with random weights."""

    def __init__(self) -> None:
        super().__init__("alex")
        for head in self.heads:
            head.weight.abs_()

    def features(self, images: Tensor) -> list[Tensor]:
        return super().features(functional.avg_pool2d(images, 4))


def toy_teachers() -> Teachers:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = Generator(Sizes(256, channel_base=512, channel_max=4), depth=2)
        for noise in generator.stored_noise():
            noise.normal_()
        generator.conv1.noise.weight.data.fill_(0.1)
        parser = nn.Conv2d(3, len(CLASSES), 1)
        return Teachers(ToyInverter(), generator, ToyRecogniser(), CoarseLpips(), parser)


def toy_training(crops: Crops | None = None, **changed: Any) -> RiddleTraining:
    torch.manual_seed(0)
    settings = Settings.model_validate(changed)
    return RiddleTraining(settings, Accelerator(cpu=True), crops or face_crops(), toy_teachers())


@cache
def face_crops() -> Crops:
    return toy_crops(256, count=4)


def face_batch() -> Batch:
    return Sampler(face_crops(), COUNT, seed=0).fixed(COUNT, torch.device("cpu"))
