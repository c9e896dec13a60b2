"""Training of G²Face (Alg. 1), for any priors and any reading of the article.

Each step anonymizes a batch under dummy identities, reads the hidden bits back from what would be
published, and recovers the originals.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional

from anonbench.generative.demo_fit import fit_dummy
from anonbench.generative.settings import at
from anonbench.generative.training import (
    Drawn,
    FusionTraining,
    Losses,
    numbers,
    psnr,
    random_password,
)
from anonbench.generative.training_priors import Priors, load_priors, start_from_stylegan2
from anonbench.generative.views import disturbed
from anonbench.nets.float_bits import bits_to_floats, floats_to_bits, logits_to_bits
from anonbench.training import losses
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench_g2face.checkpoints import BUNDLES
from anonbench_g2face.networks import G2FaceNetworks
from anonbench_g2face.settings import Settings

_Settings = Settings  # by which the class can still name it, having an attribute `Settings`


class G2FaceTraining(FusionTraining[_Settings, G2FaceNetworks]):
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
    bundles = BUNDLES

    def __init__(
        self,
        settings: _Settings,
        accelerator: Accelerator,
        crops: Crops,
        priors: Priors | None = None,
    ) -> None:
        self.variant = settings.variant
        priors = priors or load_priors(settings, self.variant.reduction)
        architecture = settings.architecture(priors.identity_size, priors.geometry_size)
        networks = G2FaceNetworks(architecture)
        if self.variant.generative_prior:
            start_from_stylegan2(networks.anonymous_net)
        super().__init__(
            settings,
            accelerator,
            crops,
            priors,
            networks,
            sees=self.variant.discriminator_sees,
            betas=self.variant.betas,
            reduction=self.variant.reduction,
        )

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One iteration: anonymize, recover, update the discriminator."""
        if not self.priors.ready:
            embeddings = self.priors.prepare(self._crops)
            if embeddings is not None:
                fit_dummy(self.networks.map_2_id, embeddings)
        self._set_rates(step)
        drawn = self._draw(batch, step)
        fakes, values = self._both_stages(drawn, step, joint=self.variant.joint)
        return numbers(values | self._learn(drawn.images, fakes, step))

    def _draw(self, batch: Batch, step: int) -> Drawn:
        images = batch.images * 2 - 1
        with torch.no_grad():
            identity = self.priors.embed(images)
            swaps = self._swaps(images, batch.points, step)
            taught = self.priors.embed(swaps)
            bits = _password(self.variant.hides, identity)
            coefficients = self.priors.coefficients(images)
        dummy = self.networks.map_2_id(torch.randn(identity.shape, device=images.device))
        dummy = torch.cat([taught, dummy[len(swaps) :]])
        return Drawn(images, batch.points, identity, coefficients, dummy, bits, swaps)

    def _anonymize(self, drawn: Drawn, step: int) -> tuple[Tensor, Losses]:
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

    def _recover(self, drawn: Drawn, image: Tensor, step: int) -> tuple[Tensor, Losses]:
        """Recovered images and the terms of Eq. 23."""
        identity = drawn.identity
        with torch.no_grad():
            coefficients = self.priors.coefficients(image)
            if self.variant.recovery_from == "extracted":
                identity = self._read(image)
            bits = _password(self.variant.recovery_hides, drawn.identity)
        output = self._render(image, identity, coefficients, bits)
        with self._accelerator.autocast():
            found = self.priors.embed(output)
        values = {
            "reconstruction": self._reconstruction(output, drawn.images),
            "recovered_identity": losses.cosine_towards(found, drawn.identity),
            "geometry": self._geometry(drawn.coefficients, output),
            **self._recovered_face(drawn, output, step),
        }
        if at(self.settings.weights.recovered_hiding, step):
            values["recovered_hiding"] = losses.hiding_loss(self._extract(output), bits)
        if self._adversary.asks("recovered", step):
            values["adversarial"] = self._adversary.fooled(output)
        with torch.no_grad():
            values["psnr"] = psnr(output, drawn.images)
        return output, values

    def _read(self, images: Tensor) -> Tensor:
        """The identities `[B, n]` whose bits are in images."""
        bits = logits_to_bits(self.networks.hiding_extractor(images))
        return bits_to_floats(bits, self.variant.guard)

    def _geometry(self, original: Tensor, output: Tensor) -> Tensor:
        with self._accelerator.autocast():
            found = self.priors.coefficients(output)
        return self.priors.geometry_loss(original, found)

    def _anonymized(self, images: Tensor) -> Tensor:
        identity = self.priors.embed(images)
        dummy = self.networks.map_2_id(torch.randn(identity.shape, device=images.device))
        bits = floats_to_bits(identity)
        return self._render(images, dummy, self.priors.coefficients(images), bits)

    def _recovered(self, images: Tensor) -> Tensor:
        extracted = self._read(images)
        coefficients = self.priors.coefficients(images)
        return self._render(images, extracted, coefficients, random_password(extracted))


def _password(hides: Literal["identity", "random"], identity: Tensor) -> Tensor:
    """What is hidden: the bits `[B, n, 32]` of identities, or of random embeddings like them."""
    return floats_to_bits(identity) if hides == "identity" else random_password(identity)
