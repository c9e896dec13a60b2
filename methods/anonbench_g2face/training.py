"""Training of G²Face (Alg. 1), for any priors and any reading of the article.

Each step anonymizes a batch under dummy identities, reads the hidden bits back from what would be
published, and recovers the originals. The demo adds teachers in the form of face swaps
(`anonbench_g2face.swaps`), which the published method does not need.

Of several processes, each computes on its part of the batch, and the loop averages gradients. Batch
statistics (f_dummy, E_p) are those of a process's part, as in the authors' code; checkpoints hold
the running ones of the first process.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from anonbench.nets.float_bits import bits_to_floats, floats_to_bits, logits_to_bits
from anonbench.nets.lpips import Lpips
from anonbench.nets.stylegan2 import draw_noise
from anonbench.training import losses
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench_g2face.adversary import Adversary, Kind, adam, update
from anonbench_g2face.checkpoints import bundle
from anonbench_g2face.demo_losses import enlarged, parted_l1
from anonbench_g2face.networks import G2FaceNetworks
from anonbench_g2face.settings import Settings, at
from anonbench_g2face.swaps import Donors, face_regions, swap
from anonbench_g2face.training_priors import (
    Priors,
    load_priors,
    prior_parameters,
    start_from_stylegan2,
)
from anonbench_g2face.views import disturbed, published

Losses = dict[str, Tensor]
_Settings = Settings  # by which the class can still name it, having an attribute `Settings`


@dataclass(frozen=True)
class _Drawn:
    """A batch and what a step has drawn for it.

    Attributes:
        images: Originals `[B, 3, S, S]` in `[-1, 1]`.
        points: Their landmarks `[B, 68, 2]`.
        identity: Of the originals `[B, n]`, float32.
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


class G2FaceTraining:
    """The networks of G²Face with their losses and optimizers.

    Args:
        settings: What to train and how.
        accelerator: Says on which device, and joins the processes.
        crops: The training data.
        priors: In place of those that the settings name.

    Raises:
        MissingArtefact: Weights that it starts from are not on this machine.
    """

    Settings: ClassVar[type[Settings]] = Settings

    def __init__(
        self,
        settings: _Settings,
        accelerator: Accelerator,
        crops: Crops,
        priors: Priors | None = None,
    ) -> None:
        self.settings, self.variant, self._accelerator = settings, settings.variant, accelerator
        device = accelerator.device
        self.priors = (priors or load_priors(settings)).to(device)
        architecture = settings.architecture(self.priors.identity_size, self.priors.geometry_size)
        self.networks = G2FaceNetworks(architecture).to(device)
        self._adversary = Adversary(settings, architecture, accelerator)
        if self.variant.generative_prior:
            start_from_stylegan2(self.networks.anonymous_net)
        self._lpips = Lpips.load(settings.lpips).to(device)
        self._crops, self._donors = crops, Donors(crops, settings.candidates)
        self._generator = self._optimizer()

    def _optimizer(self) -> Optimizer:
        decoder = prior_parameters(self.networks.anonymous_net)
        known = set(map(id, decoder))
        new = [p for p in self.networks.parameters() if id(p) not in known]
        rates = self.settings.learning_rate, self.settings.prior_learning_rate
        return adam(list(zip((new, decoder), rates, strict=True)), self.variant.betas)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """What a checkpoint holds; priors only if they were fitted in training."""
        adversary = self._adversary
        modules = {"networks": self.networks, "discriminator": adversary.discriminator}
        if self.priors.parts:
            modules["priors"] = self.priors
        if self.settings.ada_target:
            modules["ada"] = adversary.ada
        return modules

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Of the networks and of the discriminator."""
        return {"generator": self._generator, "discriminator": self._adversary.optimizer}

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One iteration: anonymize, recover, update the discriminator."""
        if not self.priors.ready:
            self.priors.prepare(self.networks, self._crops)
        self._set_rates(step)
        drawn = self._draw(batch, step)
        anonymized, values = self._anonymize(drawn, step)
        total = self._weighted(values, step)
        if not self.variant.joint:
            self._update(total)
            anonymized = anonymized.detach()
        recovered, of_recovery = self._recover(drawn, self._public(anonymized), step)
        weighted = self._weighted(of_recovery, step)
        self._update(total + weighted if self.variant.joint else weighted)
        values |= {_of_recovery(name): value for name, value in of_recovery.items()}
        kinds: dict[Kind, Tensor] = {"anonymized": anonymized, "recovered": recovered}
        fakes = [
            images.detach() for kind, images in kinds.items() if self._adversary.sees(kind, step)
        ]
        if fakes:
            values |= self._adversary.learn(drawn.images, torch.cat(fakes), step)
        return _numbers(values)

    def _draw(self, batch: Batch, step: int) -> _Drawn:
        images = batch.images * 2 - 1
        swapped = round(at(self.settings.swapped, step) * len(images))
        with torch.no_grad():
            identity = self.priors.embed(images)
            donors = self._donors.draw(batch.points[:swapped])
            swaps = swap(images[:swapped], batch.points[:swapped], *donors)
            taught = self.priors.embed(swaps)
            bits = _password(self.variant.hides, identity)
            coefficients = self.priors.coefficients(images)
        dummy = self.networks.map_2_id(torch.randn(identity.shape, device=images.device))
        return _Drawn(
            images,
            batch.points,
            identity,
            coefficients,
            torch.cat([taught, dummy[swapped:]]),
            bits,
            swaps,
        )

    def _anonymize(self, drawn: _Drawn, step: int) -> tuple[Tensor, Losses]:
        """Anonymized images, before they are published, and the terms of Eq. 22."""
        output = self._render(drawn.images, drawn.dummy, drawn.coefficients, drawn.bits)
        shown = disturbed(output) if self.settings.disturbed else output
        logits = self._extract(output)
        with self._accelerator.autocast():
            found = self.priors.embed(shown)
        towards = losses.cosine_towards(found, drawn.dummy)
        away = losses.cosine_away(found, drawn.identity)
        values = {
            "identity": towards + away,
            "diversity": losses.diversity(drawn.dummy, self.variant.diversity_over),
            "geometry": self._geometry(drawn.coefficients, output),
            "hiding": losses.hiding_loss(logits, drawn.bits),
        }
        values |= self._taught(drawn, output, step)
        if self.variant.anonymized_reconstruction:
            values["reconstruction"] = self._reconstruction(output, drawn.images)
        if self._adversary.asks("anonymized", step):
            values["adversarial"] = self._adversary.fooled(output)
        with torch.no_grad():
            values["bit errors"] = (logits_to_bits(logits) != drawn.bits).float().mean()
            values["cosine"] = functional.cosine_similarity(found, drawn.identity).mean()
        return output, values

    def _taught(self, drawn: _Drawn, output: Tensor, step: int) -> Losses:
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

    def _recover(self, drawn: _Drawn, image: Tensor, step: int) -> tuple[Tensor, Losses]:
        """Recovered images and the terms of Eq. 23."""
        identity = drawn.identity
        with torch.no_grad():
            coefficients = self.priors.coefficients(image)
            if self.variant.recovery_from == "extracted":
                extracted = logits_to_bits(self.networks.hiding_extractor(image))
                identity = bits_to_floats(extracted, self.variant.guard)
            bits = _password(self.variant.recovery_hides, drawn.identity)
        output = self._render(image, identity, coefficients, bits)
        with self._accelerator.autocast():
            found = self.priors.embed(output)
        values = {
            "reconstruction": self._reconstruction(output, drawn.images),
            "recovered_identity": losses.cosine_towards(found, drawn.identity),
            "geometry": self._geometry(drawn.coefficients, output),
        }
        if at(self.settings.weights.recovered_face, step):
            regions = face_regions(drawn.points, output.shape[-1])
            values["recovered_face"] = self._face_loss(output, drawn.images, regions)
        if at(self.settings.weights.recovered_hiding, step):
            values["recovered_hiding"] = losses.hiding_loss(self._extract(output), bits)
        if self._adversary.asks("recovered", step):
            values["adversarial"] = self._adversary.fooled(output)
        with torch.no_grad():
            error = (output.clamp(-1, 1) - drawn.images).square().flatten(1).mean(dim=1)
            values["psnr"] = (10 * torch.log10(4 / error)).mean()
        return output, values

    def _render(
        self, images: Tensor, identity: Tensor, coefficients: Tensor, bits: Tensor
    ) -> Tensor:
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
        """Logits of the bits in images, under the noise of Eq. 21."""
        seen, noise = self._public(images), self.settings.extractor_noise
        if noise:
            seen = seen + noise * torch.randn_like(seen)
        with self._accelerator.autocast():
            logits: Tensor = self.networks.hiding_extractor(seen)
        return logits

    def _reconstruction(self, output: Tensor, target: Tensor) -> Tensor:
        """Eq. 11."""
        difference = losses.reconstruction_l1(output, target, self.variant.reduction)
        return difference + self._perceptual(output, target)

    def _perceptual(self, output: Tensor, target: Tensor) -> Tensor:
        with self._accelerator.autocast():
            with torch.no_grad():
                wanted = self._lpips.features(target)
            return self._lpips.distance(self._lpips.features(output), wanted).mean()

    def _geometry(self, original: Tensor, output: Tensor) -> Tensor:
        with self._accelerator.autocast():
            found = self.priors.coefficients(output)
        return self.priors.geometry_loss(original, found)

    def _weighted(self, values: Losses, step: int) -> Tensor:
        weights = self.settings.weights
        named = {name: at(getattr(weights, name), step) for name in type(weights).model_fields}
        return torch.stack([named[name] * values[name] for name in values if name in named]).sum()

    def _update(self, loss: Tensor) -> None:
        update(self._generator, loss, self._accelerator, self.settings.clip)

    def _set_rates(self, step: int) -> None:
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * self.settings.rate(step)

    def preview(self, batch: Batch) -> Tensor:
        """Original, anonymized under a random identity, recovered from the published pixels."""
        images = batch.images * 2 - 1
        with _evaluating(self.networks):
            identity = self.priors.embed(images)
            dummy = self.networks.map_2_id(torch.randn(identity.shape, device=images.device))
            bits, coefficients = floats_to_bits(identity), self.priors.coefficients(images)
            anonymized = published(self._render(images, dummy, coefficients, bits))
            found = logits_to_bits(self.networks.hiding_extractor(anonymized))
            extracted = bits_to_floats(found, self.variant.guard)
            coefficients = self.priors.coefficients(anonymized)
            placeholder = _password("random", identity)
            recovered = self._render(anonymized, extracted, coefficients, placeholder)
        columns = torch.stack([images, anonymized, recovered], dim=1)
        return (columns / 2 + 0.5).clamp(0, 1)

    def export(self) -> Mapping[str, Tensor]:
        """A bundle (`anonbench_g2face.checkpoints`), the demo's in half precision."""
        return bundle(self.networks, self.priors.parts, half=self.settings.priors == "demo")


def _of_recovery(name: str) -> str:
    """A term's name in the log, where the anonymization may have one of the same name."""
    return f"recovered {name.removeprefix('recovered_')}"


def _numbers(values: Losses) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in values.items()}


def _password(hides: Literal["identity", "random"], identity: Tensor) -> Tensor:
    """What is hidden: the bits `[B, n, 32]` of identities, or of random embeddings like them."""
    return floats_to_bits(identity if hides == "identity" else torch.randn_like(identity))


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Within the block batch normalisation takes its running statistics, and keeps them."""
    module.eval()
    try:
        yield
    finally:
        module.train()
