"""What teaches a small FIT: face swaps, as in the demos of G²Face and DR-DPGAN.

The first bits of what the generator is given say whose face it shall show, anonymizing and under a
wrong password alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from accelerate import Accelerator
from torch import Tensor

from anonbench.generative.demo_losses import parted_l1
from anonbench.generative.swaps import average, face_regions, swap
from anonbench.nets.lpips import Lpips
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench_fit.critics import Kind
from anonbench_fit.recognisers import chips
from anonbench_fit.settings import Settings

_FRONTAL = 0.05  # of all crops, those nearest to the mean landmarks may be donors


@dataclass(frozen=True)
class Made:
    """What a step has made of a batch, all images `[B, 3, S, S]` in `[-1, 1]`.

    Attributes:
        batch: The batch.
        images: Its originals.
        given: The bits `[B, 16]` that the generator was given for each kind; there are no wrong
            recoveries where no loss looks at them.
        made: What it made of them.
        second: Under another password each, where a loss asks for it.
    """

    batch: Batch
    images: Tensor
    given: Mapping[Kind, Tensor]
    made: Mapping[Kind, Tensor]
    second: Mapping[Kind, Tensor]

    def before(self, kind: Kind) -> Tensor:
        """What the generator was given to make a kind of images."""
        return self.images if kind == "anonymized" else self.made["anonymized"]


class Teachers:
    """Losses between what the generator makes and what it shall make.

    Args:
        settings: How many faces the swaps have.
        accelerator: Says on which device.
        crops: The training data.
    """

    def __init__(self, settings: Settings, accelerator: Accelerator, crops: Crops) -> None:
        self._settings, self._accelerator, self._crops = settings, accelerator, crops

    @cached_property
    def donors(self) -> tuple[Tensor, Tensor]:
        """The faces `[D, 3, S, S]` of the swaps, averages of frontal crops, and their landmarks."""
        points = torch.from_numpy(self._crops.points)
        strange = (points - points.median(dim=0).values).abs().mean(dim=(1, 2))
        count, each = self._settings.donors, self._settings.averaged
        frontal = strange.argsort()[: max(count * each, int(_FRONTAL * len(points)))].sort().values
        chosen = frontal[torch.linspace(0, len(frontal) - 1, count * each).long()]
        averages = [average(self._crops, group) for group in torch.split(chosen, each)]
        images, landmarks = zip(*averages, strict=True)
        return torch.stack(images), torch.stack(landmarks)

    def swapped(self, made: Made, kind: Kind) -> Tensor:
        """The loss of a kind of images against the swaps that the first given bits choose."""
        first = made.given[kind][:, : self._settings.donors.bit_length() - 1]
        places = 2 ** torch.arange(first.shape[1], device=first.device)
        chosen = (first * places).sum(dim=1).cpu()
        donors, points = (one[chosen].to(made.images.device) for one in self.donors)
        side = made.images.shape[-1]
        edge = (donors.shape[-1] - side) // 2
        donors = donors[:, :, edge : edge + side, edge : edge + side]
        target = swap(made.images, made.batch.points, donors, points - edge)
        return self.face_loss(made, kind, target)

    def face_loss(self, made: Made, kind: Kind, target: Tensor) -> Tensor:
        """L1 of faces and, as another mean, around them; LPIPS of the faces as dlib sees them."""
        output, points = made.made[kind], made.batch.points
        regions = face_regions(points, output.shape[-1])
        faces, wanted = chips(output, points), chips(target, points)
        with self._accelerator.autocast():
            with torch.no_grad():
                features = self._lpips.features(wanted)
            perceptual = self._lpips.distance(self._lpips.features(faces), features).mean()
        return parted_l1(output, target, regions) + perceptual

    @cached_property
    def _lpips(self) -> Lpips:
        lpips = Lpips.load(self._settings.lpips)
        return lpips.to(self._accelerator.device).to(memory_format=torch.channels_last)
