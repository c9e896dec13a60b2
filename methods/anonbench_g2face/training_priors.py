"""The priors as the training uses them: embeddings, coefficients, and a loss on geometry."""

import numpy as np
import torch
from torch import Tensor, nn

from anonbench.errors import BadConfig
from anonbench.nets.dlib_resnet import DIM
from anonbench.training.crops import Crops
from anonbench_g2face.demo import DemoIdentity, LandmarkPrior
from anonbench_g2face.demo_fit import fit_dummy, fit_identity, fit_landmarks
from anonbench_g2face.networks import G2FaceNetworks
from anonbench_g2face.settings import Settings


class DemoPriors(nn.Module):
    """dlib's embedding and the landmark model; both are fitted to the crops before step 0.

    Args:
        settings: How long to fit.
    """

    identity_size = DIM
    fitted: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.identity, self.geometry = DemoIdentity(), LandmarkPrior()
        self.geometry_size = len(self.geometry.basis)
        self._steps = settings.fit_steps
        self.register_buffer("fitted", torch.tensor(False))
        self.requires_grad_(False)

    @property
    def ready(self) -> bool:
        """Whether they have been fitted."""
        return bool(self.fitted)

    def prepare(self, networks: G2FaceNetworks, crops: Crops) -> None:
        """Fit both to the crops, and the dummy identities to the crops' identities."""
        rng = np.random.default_rng(0)
        embeddings = fit_identity(self.identity, crops, rng)
        fit_dummy(networks.map_2_id, embeddings)
        fit_landmarks(self.geometry.requires_grad_(), crops, rng, self._steps)
        self.requires_grad_(False)
        self.fitted.fill_(True)

    def embed(self, images: Tensor) -> Tensor:
        """Standardised embeddings `[B, 128]`."""
        return self.identity.embed(images)

    def coefficients(self, images: Tensor) -> Tensor:
        """All coefficients of the landmark model."""
        return self.geometry.coefficients(images)

    def steering(self, coefficients: Tensor) -> Tensor:
        """All of them steer the decoder."""
        return coefficients

    def geometry_loss(self, original: Tensor, output: Tensor) -> Tensor:
        """Mean squared distance of landmarks, in pixels of the crop: Eq. 19 alone."""
        there, here = self.geometry.landmarks(original), self.geometry.landmarks(output)
        return (there - here).square().sum(dim=-1).mean()


def build_priors(settings: Settings) -> DemoPriors:
    """The priors that the settings name."""
    if settings.priors == "official":
        raise BadConfig("not yet")
    return DemoPriors(settings)
