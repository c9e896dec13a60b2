"""What trainings of generative methods have in common: the way through the networks, and teachers.

A method adds where identities come from, which losses count, and in which order it updates what.
The demos add teachers in the form of face swaps (`anonbench.generative.swaps`) and of faces that
their priors draw, which no published method needs.

Of several processes, each computes on its part of the batch, and the loop averages gradients. Batch
statistics are those of a process's part; checkpoints hold the running ones of the first process.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from anonbench.generative.adversary import Adversary, Kind, Sees, adam, update
from anonbench.generative.bundle import BundleFormat, N
from anonbench.generative.demo_losses import enlarged, parted_l1
from anonbench.generative.settings import TrainingSettings, at
from anonbench.generative.swaps import Donors, face_regions, swap
from anonbench.generative.training_priors import Priors, prior_parameters
from anonbench.generative.views import published
from anonbench.nets.float_bits import floats_to_bits
from anonbench.nets.lpips import Lpips
from anonbench.nets.stylegan2 import draw_noise
from anonbench.training import losses
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch

Losses = dict[str, Tensor]
S = TypeVar("S", bound=TrainingSettings)


@dataclass(frozen=True)
class Drawn:
    """A batch and what a step has drawn for it.

    Attributes:
        images: Originals `[B, 3, S, S]` in `[-1, 1]`.
        points: Their landmarks `[B, 68, 2]`.
        identity: Of the originals `[B, n]`, float32, as it steers the decoder.
        coefficients: Of the originals' geometry.
        dummy: The identities to give them `[B, n]`.
        bits: What to hide `[B, n, 32]`.
        swaps: Teachers `[K, 3, S, S]` of the first K images.
    """

    images: Tensor
    points: Tensor
    identity: Tensor
    coefficients: Tensor
    dummy: Tensor
    bits: Tensor
    swaps: Tensor


class FusionTraining(ABC, Generic[S, N]):
    """Networks, priors, discriminator and their optimizers, with what a step is made of.

    Args:
        settings: What to train and how.
        accelerator: Says on which device, and joins the processes.
        crops: The training data.
        priors: Who is in an image and how the face is shaped.
        networks: The method's.
        sees: Which fakes the discriminator sees.
        betas: Of Adam.
        reduction: Of L1 in the reconstruction loss.
    """

    bundles: ClassVar[BundleFormat[N]]

    def __init__(
        self,
        settings: S,
        accelerator: Accelerator,
        crops: Crops,
        priors: Priors,
        networks: N,
        *,
        sees: Sees,
        betas: tuple[float, float],
        reduction: losses.Reduction,
    ) -> None:
        self.settings, self._accelerator, self._reduction = settings, accelerator, reduction
        self.priors = priors.to(accelerator.device)
        self.networks = networks.to(accelerator.device)
        self._adversary = Adversary(settings, accelerator, sees, betas)
        self._lpips = Lpips.load(settings.lpips).to(accelerator.device)
        self._crops, self._donors = crops, Donors(crops, settings.candidates)
        self._generator = self._optimizer(betas)

    def _optimizer(self, betas: tuple[float, float]) -> Optimizer:
        decoder = prior_parameters(self.networks.anonymous_net)
        known = set(map(id, decoder))
        new = [p for p in self._generating() if id(p) not in known]
        rates = self.settings.learning_rate, self.settings.prior_learning_rate
        return adam(list(zip((new, decoder), rates, strict=True)), betas)

    def _generating(self) -> Sequence[nn.Parameter]:
        """The parameters that the losses on images train."""
        return list(self.networks.parameters())

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """What a checkpoint holds; priors only if they were fitted in training."""
        adversary = self._adversary
        modules: dict[str, nn.Module] = {
            "networks": self.networks,
            "discriminator": adversary.discriminator,
        }
        if self.priors.parts:
            modules["priors"] = self.priors
        if self.settings.ada_target:
            modules["ada"] = adversary.ada
        return modules

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Of the networks and of the discriminator."""
        return {"generator": self._generator, "discriminator": self._adversary.optimizer}

    @abstractmethod
    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One iteration with all updates; see `anonbench.training.interfaces.Training`."""

    @abstractmethod
    def _anonymize(self, drawn: Drawn, step: int) -> tuple[Tensor, Losses]:
        """Anonymized images, before they are published, and the terms of their loss."""

    @abstractmethod
    def _recover(self, drawn: Drawn, image: Tensor, step: int) -> tuple[Tensor, Losses]:
        """What is recovered from images as recipients get them, and the terms of its loss."""

    def _both_stages(
        self, drawn: Drawn, step: int, *, joint: bool
    ) -> tuple[dict[Kind, Tensor], Losses]:
        """Anonymize a batch, recover it from what is published, and update the networks.

        Args:
            drawn: The batch.
            step: Number of the iteration.
            joint: One update for both stages, with gradients through the anonymized image, or one
                per stage with that image detached.

        Returns:
            The images of both stages, and all terms by their names in the log.
        """
        anonymized, values = self._anonymize(drawn, step)
        total = self._weighted(values, step)
        if not joint:
            self._update(total)
            anonymized = anonymized.detach()
        recovered, recovery = self._recover(drawn, self._public(anonymized), step)
        weighted = self._weighted(recovery, step)
        self._update(total + weighted if joint else weighted)
        images: dict[Kind, Tensor] = {"anonymized": anonymized, "recovered": recovered}
        return images, values | _of_recovery(recovery)

    # --------------------------------------------------------------------- through the networks
    def _render(
        self, images: Tensor, identity: Tensor, coefficients: Tensor, bits: Tensor
    ) -> Tensor:
        """Images under identities, not clipped."""
        architecture = self.networks.architecture
        noise = draw_noise(architecture.sizes, [torch.default_generator] * len(images))
        noise = [maps.to(images.device) for maps in noise]
        steering = self.priors.steering(coefficients)[:, : architecture.geometry]
        drawn = self.priors.render(images, identity, coefficients)
        with self._accelerator.autocast():
            wplus = self.networks.style_mlp(identity, steering)
            output: Tensor = self.networks.anonymous_net(images, wplus, bits, noise, drawn)
        return output.float()

    def _public(self, images: Tensor) -> Tensor:
        """Images as those get them who extract and recover."""
        return published(images) if self.settings.quantized else images

    def _extract(self, images: Tensor) -> Tensor:
        """Logits of the password in images, under a little noise."""
        seen, noise = self._public(images), self.settings.extractor_noise
        if noise:
            seen = seen + noise * torch.randn_like(seen)
        with self._accelerator.autocast():
            logits: Tensor = self.networks.hiding_extractor(seen)
        return logits

    def _swaps(self, images: Tensor, points: Tensor, step: int) -> Tensor:
        """Face swaps of the first images of a batch, as many as are taught by them."""
        count = round(at(self.settings.swapped, step) * len(images))
        donors = self._donors.draw(points[:count])
        return swap(images[:count], points[:count], *donors)

    # ---------------------------------------------------------------------------------- losses
    def _taught(self, drawn: Drawn, output: Tensor, step: int) -> Losses:
        """What swaps teach the first images, and the faces that the priors draw the others."""
        weights, taught, values = self.settings.weights, len(drawn.swaps), Losses()
        regions = face_regions(drawn.points, output.shape[-1])
        if taught:
            values["swap"] = self._face_loss(output[:taught], drawn.swaps, regions[:taught])
        if taught < len(output) and at(weights.rendered, step):
            rest = drawn.images[taught:], drawn.dummy[taught:], drawn.coefficients[taught:]
            target = self.priors.render(*rest)
            if target is not None:
                values["rendered"] = self._face_loss(output[taught:], target, regions[taught:])
        return values

    def _face_loss(self, output: Tensor, target: Tensor, regions: Tensor) -> Tensor:
        """L1 of faces and, as another mean, around them; LPIPS of the faces enlarged."""
        perceptual = self._perceptual(enlarged(output), enlarged(target))
        return parted_l1(output, target, regions) + perceptual

    def _recovered_face(self, drawn: Drawn, output: Tensor, step: int) -> Losses:
        """The loss of recovered faces alone, where it is asked for."""
        if not at(self.settings.weights.recovered_face, step):
            return {}
        regions = face_regions(drawn.points, output.shape[-1])
        return {"recovered_face": self._face_loss(output, drawn.images, regions)}

    def _reconstruction(self, output: Tensor, target: Tensor) -> Tensor:
        """L1 and LPIPS (Eq. 11 of G²Face)."""
        difference = losses.reconstruction_l1(output, target, self._reduction)
        return difference + self._perceptual(output, target)

    def _perceptual(self, output: Tensor, target: Tensor) -> Tensor:
        with self._accelerator.autocast():
            with torch.no_grad():
                wanted = self._lpips.features(target)
            return self._lpips.distance(self._lpips.features(output), wanted).mean()

    # --------------------------------------------------------------------------------- updates
    def _weighted(self, values: Losses, step: int) -> Tensor:
        weights = self.settings.weights
        named = {name: at(getattr(weights, name), step) for name in type(weights).model_fields}
        return torch.stack([named[name] * values[name] for name in values if name in named]).sum()

    def _update(self, loss: Tensor) -> None:
        update(self._generator, loss, self._accelerator, self.settings.clip)

    def _learn(self, real: Tensor, fakes: Mapping[Kind, Tensor], step: int) -> Losses:
        """Update the discriminator by the fakes that it sees in this step."""
        seen = [image.detach() for kind, image in fakes.items() if self._adversary.sees(kind, step)]
        return self._adversary.learn(real, torch.cat(seen), step) if seen else {}

    def _set_rates(self, step: int) -> None:
        """By the schedule, where a group has a `rate`; the others' learning rate stays."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                if "rate" in group:
                    group["lr"] = group["rate"] * self.settings.rate(step)

    # ------------------------------------------------------------------------------- to look at
    def preview(self, batch: Batch) -> Tensor:
        """Original, anonymized under a random identity, recovered from the published pixels."""
        images = batch.images * 2 - 1
        with _evaluating(self.networks):
            anonymized = published(self._anonymized(images))
            recovered = self._recovered(anonymized)
        columns = torch.stack([images, anonymized, recovered], dim=1)
        return (columns / 2 + 0.5).clamp(0, 1)

    @abstractmethod
    def _anonymized(self, images: Tensor) -> Tensor:
        """Images in `[-1, 1]` anonymized as inference does it."""

    @abstractmethod
    def _recovered(self, images: Tensor) -> Tensor:
        """Published images in `[-1, 1]` recovered as inference does it."""

    def export(self) -> Mapping[str, Tensor]:
        """A bundle (`anonbench.generative.bundle`), the demos' in half precision."""
        half = self.settings.priors == "demo"
        return self.bundles.pack(self.networks, self.priors.parts, half=half)


def random_password(identity: Tensor) -> Tensor:
    """Bits `[B, n, 32]` of random embeddings like these `[B, n]`."""
    return floats_to_bits(torch.randn_like(identity))


def _of_recovery(values: Losses) -> Losses:
    """Terms by their names in the log, where the anonymization may have some of the same name."""
    return {f"recovered {k.removeprefix('recovered_')}": value for k, value in values.items()}


def numbers(values: Losses) -> dict[str, float]:
    """Losses for the log."""
    return {name: float(value.detach()) for name, value in values.items()}


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Mean PSNR in dB of images `[B, 3, S, S]` in `[-1, 1]`, the first clipped."""
    error = (output.clamp(-1, 1) - target).square().flatten(1).mean(dim=1)
    return (10 * torch.log10(4 / error)).mean()


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Within the block batch normalisation takes its running statistics, and keeps them."""
    module.eval()
    try:
        yield
    finally:
        module.train()
