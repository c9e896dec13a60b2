"""Training of DR-DPGAN: Algorithm 1 and Eqs. 9 to 17, with what its demo adds.

Each step brings the fake identity generator nearer to its range, anonymizes a batch under its
identities, reads the hidden bits back from what would be published, and recovers the originals.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

from anonbench.generative.adversary import Kind, update
from anonbench.generative.demo_fit import embed_all, fit_dummy
from anonbench.generative.settings import at
from anonbench.generative.training import (
    Drawn,
    FusionTraining,
    Losses,
    numbers,
    psnr,
)
from anonbench.generative.training_priors import Priors, load_priors, start_from_stylegan2
from anonbench.generative.views import disturbed
from anonbench.training import losses
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench_drdpgan.checkpoints import BUNDLES
from anonbench_drdpgan.code_fit import fit_code
from anonbench_drdpgan.critic import Critic, wanted
from anonbench_drdpgan.fake_identity import Refined, refine, training_loss
from anonbench_drdpgan.networks import DrDpganNetworks, steering
from anonbench_drdpgan.settings import Settings
from anonbench_drdpgan.takeover import find_bundle, take_over

_Settings = Settings  # by which the class can still name it, having an attribute `Settings`
# Trained by losses of their own: neither Eq. 16 nor what demos add reaches them.
_APART = ("fake_identity.", "learned_code.")


class DrDpganTraining(FusionTraining[_Settings, DrDpganNetworks]):
    """The networks of DR-DPGAN with their losses and optimizers.

    Args:
        settings: What to train and how.
        accelerator: Says on which device, and joins the processes.
        crops: The training data.
        priors: In place of those that the settings name.

    Raises:
        MissingArtefact: Weights that it starts from are not on this machine.
        BadConfig: Sizes do not go together, or the bundle to start from is of other networks.
        BadData: What it starts from does not fit.
    """

    Settings: ClassVar[type[Settings]] = Settings
    bundles = BUNDLES

    def __init__(
        self,
        settings: _Settings,
        accelerator: Accelerator,
        crops: Crops,
        priors: Priors | None = None,
    ) -> None:
        priors = priors or load_priors(settings, None, settings.morphology)
        networks = DrDpganNetworks(settings.build(priors.identity_size, priors.geometry_size))
        if settings.generative_prior:
            start_from_stylegan2(networks.anonymous_net)
        self._taken: set[str] = set()
        if settings.start_from:
            self._taken = take_over(networks, priors, find_bundle(settings.start_from))
        super().__init__(
            settings,
            accelerator,
            crops,
            priors,
            networks,
            sees="both",
            betas=settings.betas,
            reduction="mean",
        )
        self._code = networks.code("clamp50")
        self._prepared = _Flag().to(accelerator.device)
        self._guiding = SGD(networks.fake_identity.parameters(), lr=settings.fake_rate)
        built = wanted(settings.weights.discriminative)
        self._critic = Critic(settings, accelerator) if built else None

    def _generating(self) -> list[nn.Parameter]:
        named = self.networks.named_parameters()
        return [p for name, p in named if not name.startswith(_APART)]

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """What a checkpoint holds, the Critic too."""
        critic = {"critic": self._critic.discriminator} if self._critic else {}
        return {**super().modules, "prepared": self._prepared, **critic}

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Of the networks, the discriminator, the fake identity generator and the Critic."""
        critic = {"critic": self._critic.optimizer} if self._critic else {}
        return {**super().optimizers, "fake_identity": self._guiding, **critic}

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One iteration: guide, anonymize, recover, update discriminator and Critic."""
        if not self._prepared.up:
            self._prepare()
        if isinstance(self._code, nn.Module):
            self._code.eval()  # no dropout: it is finished, whatever mode the networks are in
        self._set_rates(step)
        drawn, values = self._draw(batch, step)
        fakes, terms = self._both_stages(drawn, step, joint=self.settings.joint)
        values |= terms | self._learn(drawn.images, fakes, step)
        if self._critic:
            generated = self._public(torch.cat(list(fakes.values())).detach())
            values |= self._critic.learn(drawn.images, generated, step)
        return numbers(values)

    def _prepare(self) -> None:
        """Fit what is fitted to the crops: priors, the demo's fake identities, the learned code."""
        networks, settings = self.networks, self.settings
        embeddings = None if self.priors.ready else self.priors.prepare(self._crops)
        fakes = settings.priors == "demo" and "fake_identity" not in self._taken
        codes = settings.code == "learned" and "learned_code" not in self._taken
        if fakes or codes:
            if embeddings is None:
                embeddings = embed_all(self._crops, self.priors.embed, self._accelerator.device)
            if fakes:
                directions = functional.normalize(embeddings, dim=1)
                fit_dummy(networks.fake_identity, directions, settings.fake_steps)
            if codes:
                steps = settings.code_steps, settings.code_settling
                fit_code(networks.learned_code, embeddings, *steps)
        self._prepared.up.fill_(True)

    def _draw(self, batch: Batch, step: int) -> tuple[Drawn, Losses]:
        images = batch.images * 2 - 1
        with torch.no_grad():
            identity = self.priors.embed(images)
            swaps = self._swaps(images, batch.points, step)
            taught = steering(self.priors.embed(swaps))
            bits = self._password(identity)
            coefficients = self.priors.coefficients(images)
        fake, values = self._guide(identity)
        dummy = torch.cat([taught, steering(fake)[len(swaps) :]])
        drawn = Drawn(images, batch.points, steering(identity), coefficients, dummy, bits, swaps)
        return drawn, values

    # ------------------------------------------------------------------------- fake identities
    def _guide(self, identity: Tensor) -> tuple[Tensor, Losses]:
        """Fake identities `[B, n]`, after one step of their generator for the whole batch."""
        fake = self.networks.fake_identity
        z = self._noise(identity)
        if self.settings.parts.guided:
            loss = training_loss(fake, z, identity, self.settings.wanted)
            update(self._guiding, loss, self._accelerator, longest=0.0)
        refined = self._refined(z, identity)
        values = {
            "fig in range": (refined.converged & (refined.steps == 0)).float().mean(),
            "fig converged": refined.converged.float().mean(),
            "fig steps": refined.steps.float().mean(),
            "fig cosine": refined.cosine.mean(),
        }
        return refined.identity, values

    def _noise(self, identity: Tensor) -> Tensor:
        length = self.networks.fake_identity.hidden.in_features
        return torch.randn(len(identity), length).to(identity)

    def _refined(self, z: Tensor, identity: Tensor) -> Refined:
        """Algorithm 1 for each image; where it is not wanted, the generator's output as it is."""
        settings, fake = self.settings, self.networks.fake_identity
        limit = settings.fake_limit if settings.refine and settings.parts.guided else 0
        return refine(fake, z, identity, settings.wanted, settings.fake_rate, limit)

    # -------------------------------------------------------------------------------- processes
    def _anonymize(self, drawn: Drawn, step: int) -> tuple[Tensor, Losses]:
        """Anonymized images, before they are published, and the terms of Eq. 16."""
        output = self._render(drawn.images, drawn.dummy, drawn.coefficients, drawn.bits)
        shown = disturbed(output) if self.settings.disturbed else output
        logits = self._extract(output)
        with self._accelerator.autocast():
            found = self.priors.embed(shown).float()
        towards = losses.cosine_towards(found, drawn.dummy)
        away = losses.cosine_away(found, drawn.identity)
        values = {
            "identity": towards + away,
            "information": losses.hiding_loss(logits, drawn.bits),
            **self._deceiving("anonymized", output, step),
            **self._taught(drawn, output, step),
        }
        with torch.no_grad():
            values["bit errors"] = self._errors(logits, drawn.bits)
            values |= _conflict(drawn, found)
        return output, values

    def _recover(self, drawn: Drawn, image: Tensor, step: int) -> tuple[Tensor, Losses]:
        """Recovered images and the terms of Eq. 16."""
        identity, bits, weights = drawn.identity, drawn.bits, self.settings.weights
        with torch.no_grad():
            coefficients = self.priors.coefficients(image)
            if self.settings.recovery_from == "extracted":
                identity = steering(self._read(image))
            if self.settings.recovery_hides == "random":
                bits = self._password(torch.randn_like(identity))
        output = self._render(image, identity, coefficients, bits)
        with self._accelerator.autocast():
            found = self.priors.embed(output)
        values = {
            "recovered_identity": losses.cosine_towards(found, drawn.identity),
            **self._deceiving("recovered", output, step),
            **self._recovered_face(drawn, output, step),
        }
        if at(weights.recovered_information, step):
            values["recovered_information"] = losses.hiding_loss(self._extract(output), bits)
        if at(weights.reconstruction, step):
            values["reconstruction"] = self._reconstruction(output, drawn.images)
        with torch.no_grad():
            values["psnr"] = psnr(output, drawn.images)
        return output, values

    def _deceiving(self, kind: Kind, output: Tensor, step: int) -> Losses:
        """What the discriminator, and on request the Critic, say of generated images."""
        values = Losses()
        if self._adversary.asks(kind, step):
            values["adversarial"] = self._adversary.fooled(output)
        if self._critic and self._critic.asks(step):
            values["discriminative"] = self._critic.deceived(self._public(output))
        return values

    # --------------------------------------------------------------------------- hidden numbers
    def _password(self, identity: Tensor) -> Tensor:
        """What is hidden, `[B, n, 32]`, for identities as the recogniser gives them."""
        return self._code.spread(self._code.encode(identity))

    def _read(self, images: Tensor) -> Tensor:
        """The identities `[B, n]` whose bits are in images."""
        logits = self._code.gather(self.networks.hiding_extractor(images))
        return self._code.decode(logits > 0)

    def _errors(self, logits: Tensor, bits: Tensor) -> Tensor:
        """Share of wrong bits, counted after repeats have been averaged."""
        hidden = self._code.gather(bits.float() - 0.5) > 0
        return ((self._code.gather(logits) > 0) != hidden).float().mean()

    # ------------------------------------------------------------------------------- to look at
    def _anonymized(self, images: Tensor) -> Tensor:
        identity = self.priors.embed(images)
        dummy = steering(self._refined(self._noise(identity), identity).identity)
        bits = self._password(identity)
        return self._render(images, dummy, self.priors.coefficients(images), bits)

    def _recovered(self, images: Tensor) -> Tensor:
        identity = self._read(images)
        coefficients = self.priors.coefficients(images)
        bits = self._password(torch.randn_like(identity))
        return self._render(images, steering(identity), coefficients, bits)


class _Flag(nn.Module):
    """Remembers in checkpoints that what comes before the first step has been done."""

    up: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("up", torch.tensor(False))


def _conflict(drawn: Drawn, found: Tensor) -> Losses:
    """Where Eq. 11 leaves images that no swaps teach, between fake and original identity.

    Algorithm 1 keeps the first cosine at 0.1 to 0.4, and Eq. 11 wants the second at 0 and the third
    at 1, which no image can satisfy (`anonbench_drdpgan.fake_identity.identity_loss_floor`).
    """
    untaught = slice(len(drawn.swaps), None)
    identity, dummy, found = drawn.identity[untaught], drawn.dummy[untaught], found[untaught]
    if not len(found):
        return {}
    pairs = {
        "original to dummy": (identity, dummy),
        "original to anonymized": (identity, found),
        "dummy to anonymized": (dummy, found),
    }
    return {name: functional.cosine_similarity(a, b).mean() for name, (a, b) in pairs.items()}
