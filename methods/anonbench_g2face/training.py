"""Training of G²Face (Alg. 1), for any priors and any reading of the article.

Each step anonymizes a batch under dummy identities, reads the hidden bits back from what would be
published, and recovers the originals. The demo adds teachers in the form of face swaps
(`anonbench_g2face.swaps`), which the published method does not need.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from anonbench.nets.float_bits import bits_to_floats, floats_to_bits, logits_to_bits
from anonbench.nets.fusion import FusionDecoder
from anonbench.nets.lpips import Lpips
from anonbench.nets.stylegan2 import draw_noise
from anonbench.training import losses
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench_g2face.networks import G2FaceNetworks, discriminator
from anonbench_g2face.settings import Settings, at
from anonbench_g2face.swaps import Donors, face_regions, swap
from anonbench_g2face.training_priors import build_priors

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
        accelerator: Places networks and optimizers on devices.
        crops: The training data.
    """

    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: _Settings, accelerator: Accelerator, crops: Crops) -> None:
        self.settings, self.variant, self._accelerator = settings, settings.variant, accelerator
        self.priors = build_priors(settings).to(accelerator.device)
        architecture = settings.architecture(self.priors.identity_size, self.priors.geometry_size)
        self.networks = G2FaceNetworks(architecture).to(accelerator.device)
        self.discriminator = discriminator(architecture).to(accelerator.device)
        self._lpips = Lpips.load(settings.lpips).to(accelerator.device)
        self._crops, self._donors = crops, Donors(crops, settings.candidates)
        decoder = _decoder_parameters(self.networks.anonymous_net)
        known = set(map(id, decoder))
        new = [p for p in self.networks.parameters() if id(p) not in known]
        self._generator = self._optimizer(
            (new, settings.learning_rate), (decoder, settings.prior_learning_rate)
        )
        self._critic = self._optimizer(
            (list(self.discriminator.parameters()), settings.discriminator_learning_rate)
        )
        self.modules: Mapping[str, nn.Module] = {
            "networks": self.networks,
            "discriminator": self.discriminator,
            "priors": self.priors,
        }
        self.optimizers: Mapping[str, Optimizer] = {
            "generator": self._generator,
            "discriminator": self._critic,
        }

    def _optimizer(self, *groups: tuple[list[nn.Parameter], float]) -> Adam:
        """Adam over groups of parameters, each with its learning rate after the warm-up."""
        return Adam(
            [{"params": parameters, "rate": rate} for parameters, rate in groups],
            betas=self.variant.betas,
        )

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One iteration: anonymize, recover, update the discriminator."""
        if not self.priors.ready:
            self.priors.prepare(self.networks, self._crops)
        self._set_rates(step)
        drawn = self._draw(batch, step)
        anonymized, values = self._anonymize(drawn, step)
        total = self._weighted(values, step)
        if not self.variant.joint:
            self._update(self._generator, total)
            anonymized = anonymized.detach()
        recovered, of_recovery = self._recover(drawn, published(anonymized), step)
        weighted = self._weighted(of_recovery, step)
        self._update(self._generator, total + weighted if self.variant.joint else weighted)
        fakes = torch.cat(self._fakes(anonymized.detach(), recovered.detach(), step))
        values |= {f"recovered {name}": value for name, value in of_recovery.items()}
        values |= self._discriminate(drawn.images, fakes, step)
        return {name: float(value.detach()) for name, value in values.items()}

    def _draw(self, batch: Batch, step: int) -> _Drawn:
        images = batch.images * 2 - 1
        count, length = len(images), self.priors.identity_size
        swapped = round(at(self.settings.swapped, step) * count)
        with torch.no_grad():
            identity = self.priors.embed(images)
            donors = self._donors.draw(batch.points[:swapped])
            swaps = swap(images[:swapped], batch.points[:swapped], *donors)
            taught = self.priors.embed(swaps) if swapped else identity[:0]
            hidden = identity if self.variant.hides == "identity" else torch.randn_like(identity)
            coefficients = self.priors.coefficients(images)
        dummy = self.networks.map_2_id(torch.randn(count, length, device=images.device))
        return _Drawn(
            images,
            batch.points,
            identity,
            coefficients,
            torch.cat([taught, dummy[swapped:]]),
            floats_to_bits(hidden),
            swaps,
        )

    def _anonymize(self, drawn: _Drawn, step: int) -> tuple[Tensor, Losses]:
        """Anonymized images, before they are published, and the terms of Eq. 22."""
        output = self._render(drawn.images, drawn.dummy, drawn.coefficients, drawn.bits)
        shown = _disturbed(output) if self.settings.disturbed else output
        with self._accelerator.autocast():
            logits = self.networks.hiding_extractor(published(output))
            found = self.priors.embed(shown)
        towards = losses.cosine_towards(found, drawn.dummy)
        away = losses.cosine_away(found, drawn.identity)
        values = {
            "identity": towards + away,
            "diversity": losses.diversity(drawn.dummy, self.variant.diversity_over),
            "geometry": self._geometry(drawn.coefficients, output),
            "hiding": losses.hiding_loss(logits, drawn.bits),
        }
        values |= self._taught(drawn, output)
        if self.variant.anonymized_reconstruction:
            values["reconstruction"] = self._reconstruction(output, drawn.images)
        if self._seen(step, "anonymized"):
            values["adversarial"] = self._fooling(output)
        with torch.no_grad():
            values["bit errors"] = (logits_to_bits(logits) != drawn.bits).float().mean()
            values["cosine"] = functional.cosine_similarity(found, drawn.identity).mean()
        return output, values

    def _taught(self, drawn: _Drawn, output: Tensor) -> Losses:
        """What the swaps say about the first images, and the surroundings about the others."""
        count, values = len(drawn.swaps), {}
        if count:
            values["swap"] = self._reconstruction(output[:count], drawn.swaps)
        if count < len(output):
            around = 1 - face_regions(drawn.points[count:], output.shape[-1])
            difference = (output[count:] - drawn.images[count:]).abs() * around
            values["background"] = difference.sum() / (3 * around.sum())
        return values

    def _recover(self, drawn: _Drawn, image: Tensor, step: int) -> tuple[Tensor, Losses]:
        """Recovered images and the terms of Eq. 23."""
        identity = drawn.identity
        with torch.no_grad():
            coefficients = self.priors.coefficients(image)
            bits = drawn.bits
            if self.variant.recovery_from == "extracted":
                extracted = logits_to_bits(self.networks.hiding_extractor(image))
                identity = bits_to_floats(extracted, self.variant.guard)
            if self.variant.recovery_hides == "random":
                bits = floats_to_bits(torch.randn_like(identity))
        output = self._render(image, identity, coefficients, bits)
        with self._accelerator.autocast():
            found = self.priors.embed(output)
        values = {
            "reconstruction": self._reconstruction(output, drawn.images),
            "identity": losses.cosine_towards(found, drawn.identity),
            "geometry": self._geometry(drawn.coefficients, output),
        }
        if at(self.settings.weights.recovered_hiding, step):
            with self._accelerator.autocast():
                logits = self.networks.hiding_extractor(output)
            values["recovered_hiding"] = losses.hiding_loss(logits, bits)
        if self._seen(step, "recovered"):
            values["adversarial"] = self._fooling(output)
        with torch.no_grad():
            error = (output.clamp(-1, 1) - drawn.images).square().flatten(1).mean(dim=1)
            values["psnr"] = (10 * torch.log10(4 / error)).mean()
        return output, values

    def _render(
        self, images: Tensor, identity: Tensor, coefficients: Tensor, bits: Tensor
    ) -> Tensor:
        sizes = self.networks.architecture.sizes
        noise = draw_noise(sizes, [torch.default_generator] * len(images))
        noise = [maps.to(images.device) for maps in noise]
        with self._accelerator.autocast():
            wplus = self.networks.style_mlp(identity, self.priors.steering(coefficients))
            output: Tensor = self.networks.anonymous_net(images, wplus, bits, noise)
        return output.float()

    def _reconstruction(self, output: Tensor, target: Tensor) -> Tensor:
        with self._accelerator.autocast():
            with torch.no_grad():
                wanted = self._lpips.features(target)
            perceptual = self._lpips.distance(self._lpips.features(output), wanted).mean()
        return losses.reconstruction_l1(output, target, self.variant.reduction) + perceptual

    def _geometry(self, original: Tensor, output: Tensor) -> Tensor:
        with self._accelerator.autocast():
            found = self.priors.coefficients(output)
        return self.priors.geometry_loss(original, found)

    def _fooling(self, output: Tensor) -> Tensor:
        with self._accelerator.autocast():
            logits = self.discriminator(output)
        return losses.generator_loss(logits)

    def _seen(self, step: int, kind: str) -> bool:
        """Whether the discriminator looks at a kind of fakes in this step."""
        sees: str = self.variant.discriminator_sees
        if sees == "alternate":
            sees = "recovered" if step % 2 else "anonymized"
        weighted = at(self.settings.weights.adversarial, step) > 0
        return weighted and sees in ("both", kind)

    def _fakes(self, anonymized: Tensor, recovered: Tensor, step: int) -> list[Tensor]:
        kinds = {"anonymized": anonymized, "recovered": recovered}
        return [fake for kind, fake in kinds.items() if self._seen(step, kind)] or [anonymized[:0]]

    def _discriminate(self, real: Tensor, fakes: Tensor, step: int) -> Losses:
        if not len(fakes):
            return {}
        with self._accelerator.autocast():
            logits, fake_logits = self.discriminator(real), self.discriminator(fakes)
        values = {"discriminator": losses.discriminator_loss(logits, fake_logits)}
        self._update(self._critic, values["discriminator"])
        if step % self.settings.r1_every == 0:
            real = real.detach().requires_grad_()
            values["r1"] = losses.r1_penalty(self.discriminator(real), real)
            self._update(self._critic, values["r1"] * at(self.settings.weights.r1, step))
        return values

    def _weighted(self, values: Losses, step: int) -> Tensor:
        weights = self.settings.weights
        named = {name: at(getattr(weights, name), step) for name in type(weights).model_fields}
        return torch.stack([named[name] * values[name] for name in values if name in named]).sum()

    def _update(self, optimizer: Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        self._accelerator.backward(loss)
        if self.settings.clip:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            self._accelerator.clip_grad_norm_(parameters, self.settings.clip)
        optimizer.step()

    def _set_rates(self, step: int) -> None:
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * self.settings.rate(step)


def _decoder_parameters(network: FusionDecoder) -> list[nn.Parameter]:
    """The parameters that a plain StyleGAN2 decoder has, too."""
    added = ("pyramid.", "fusion_mask.", "hiding_injects.")
    return [p for name, p in network.named_parameters() if not name.startswith(added)]


def published(images: Tensor) -> Tensor:
    """Images in `[-1, 1]` at 8 bits; gradients pass as if they had not been rounded."""
    clipped = images.clamp(-1, 1)
    rounded = ((clipped + 1) * 127.5).round() / 127.5 - 1
    return clipped + (rounded - clipped).detach()


def _disturbed(images: Tensor) -> Tensor:
    """Copies turned, scaled, shifted, recoloured and softened a little, each in its own way."""
    count, device = len(images), images.device
    angle, scale = 0.08 * torch.randn(count), torch.exp(0.06 * torch.randn(count))
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    shift = 0.03 * torch.randn(count, 2)
    rows = [
        torch.stack([cosine, -sine, shift[:, 0]], 1),
        torch.stack([sine, cosine, shift[:, 1]], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), False).to(device)
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    soft = functional.avg_pool2d(moved, 3, stride=1, padding=1, count_include_pad=False)
    moved = torch.lerp(moved, soft, torch.rand(count, 1, 1, 1).to(device))
    contrast = (0.75 + 0.5 * torch.rand(count, 1, 1, 1)).to(device)
    return moved * contrast + (0.15 * torch.randn(count, 3, 1, 1)).to(device)
