"""The priors as training uses them: embeddings, coefficients, a loss on geometry, a decoder.

Unlike in `anonbench.generative.priors`, where coefficients are those that steer the decoder, here
they are all that a geometry loss decodes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from anonbench import weights
from anonbench.generative.appearance import AppearancePrior
from anonbench.generative.demo_fit import fit_appearance, fit_identity, fit_landmarks
from anonbench.generative.demo_priors import DemoIdentity, LandmarkPrior
from anonbench.generative.mesh import MeshGeometry, landmark_loss
from anonbench.generative.priors import ArcFaceIdentity, D3dfrGeometry, Morphology, geometry_of
from anonbench.generative.settings import TrainingSettings
from anonbench.nets import d3dfr, dlib_resnet, iresnet
from anonbench.nets.bfm import load_face_model
from anonbench.nets.fusion import FusionDecoder
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Decoder
from anonbench.training.crops import Crops
from anonbench.training.losses import Reduction


class Priors(nn.Module, ABC):
    """Who is in an image and how the face is shaped; frozen, images are in `[-1, 1]`.

    Attributes:
        identity_size: Floats of an embedding.
        geometry_size: Coefficients that steer the decoder.
        parts: What is fitted to the crops, by its name in a bundle. Only where there is something
            are priors kept in checkpoints.
        ready: Whether all of that has been fitted.
    """

    identity_size: int
    geometry_size: int

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """What is fitted; by default nothing is."""
        return {}

    @property
    def ready(self) -> bool:
        """Whether it has been fitted."""
        return True

    def prepare(self, crops: Crops) -> Tensor | None:
        """Fit what is to be fitted, by torch's generator; called before the first step.

        Returns:
            The embeddings `[N, identity_size]` of all crops, where there was a need for them.
        """
        return None

    def adopt(self, states: Mapping[str, Mapping[str, Tensor]], *, source: str) -> None:
        """Take what was fitted elsewhere, in place of `prepare`.

        Args:
            states: State dicts by the names of `parts`, as bundles hold them.
            source: What a message calls them, e.g. the path of a bundle.

        Raises:
            BadData: Something is missing or does not fit.
        """
        for name, part in self.parts.items():
            load_state(part, states.get(name, {}), source=f"Entry '{name}' of {source}")

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Embeddings `[B, identity_size]`, each value about N(0, 1)."""

    @abstractmethod
    def coefficients(self, images: Tensor) -> Tensor:
        """Coefficients `[B, k]`: all that `geometry_loss` compares."""

    @abstractmethod
    def steering(self, coefficients: Tensor) -> Tensor:
        """Those among them that steer the decoder, `[B, geometry_size]`."""

    def render(self, images: Tensor, identity: Tensor, coefficients: Tensor) -> Tensor | None:
        """Images with the faces of identities drawn into them, without gradients; or none.

        Only priors whose decoder has not learned faces before draw any.
        """
        return None

    @abstractmethod
    def geometry_loss(self, original: Tensor, output: Tensor) -> Tensor:
        """How far the geometry of outputs is from that of their originals (Eq. 20)."""


class OfficialPriors(Priors):
    """ArcFace, Deep3DFaceRecon and the Basel Face Model, as the article has them.

    Args:
        identity: ArcFace.
        geometry: The regressor of Deep3DFaceRecon.
        mesh: The loss on the face model; None for a method without one.
    """

    identity_size = iresnet.DIM

    def __init__(
        self, identity: ArcFaceIdentity, geometry: D3dfrGeometry, mesh: MeshGeometry | None
    ) -> None:
        super().__init__()
        self.identity, self.geometry, self.mesh = identity, geometry, mesh
        self.geometry_size = self.steering(torch.zeros(1, d3dfr.DIM)).shape[1]
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, reduction: Reduction | None, morphology: Morphology = "shape+expression") -> Self:
        """Load all from the catalogue.

        Args:
            reduction: Of the norms in Eqs. 17 and 19 of G²Face; None for no loss on geometry,
                which does without the face model.
            morphology: Which coefficients steer the decoder beside the pose.

        Raises:
            MissingArtefact: Some are not on this machine; it names all of them.
        """
        model = [] if reduction is None else ["bfm09-front"]
        weights.require_by_hand(["arcface-r50-ms1mv3", "d3dfr", *model])
        mesh = None
        if reduction is not None:
            mesh = MeshGeometry(load_face_model(weights.path("bfm09-front")), reduction)
        return cls(ArcFaceIdentity.load(), D3dfrGeometry.load(morphology), mesh)

    def embed(self, images: Tensor) -> Tensor:
        """ArcFace's embeddings `[B, 512]`, not normalised."""
        return self.identity.embed(images)

    def coefficients(self, images: Tensor) -> Tensor:
        """All 257 coefficients."""
        return self.geometry.all_coefficients(images)

    def steering(self, coefficients: Tensor) -> Tensor:
        """Shape (unless left out), expression and pose."""
        return geometry_of(coefficients, self.geometry.morphology)

    def geometry_loss(self, original: Tensor, output: Tensor) -> Tensor:
        """Eq. 20.

        Raises:
            TypeError: They were loaded without a face model.
        """
        if self.mesh is None:
            raise TypeError("these priors were loaded without a loss on geometry")
        loss: Tensor = self.mesh(original, output)
        return loss


class DemoPriors(Priors):
    """dlib's embedding, the landmark model and the appearance model, fitted before step 0.

    Args:
        steps: How long to fit the landmark model.
    """

    identity_size = dlib_resnet.DIM
    fitted: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.identity, self.geometry = DemoIdentity(), LandmarkPrior()
        self.appearance = AppearancePrior()
        self.geometry_size = len(self.geometry.basis)
        self._steps = steps
        self.register_buffer("fitted", torch.tensor(False))
        self.requires_grad_(False)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """All three."""
        return dict(self.named_children())

    @property
    def ready(self) -> bool:
        """Whether they have been fitted; a checkpoint remembers."""
        return bool(self.fitted)

    def prepare(self, crops: Crops) -> Tensor:
        """Fit all to the crops; return their embeddings."""
        embeddings = fit_identity(self.identity, crops)
        fit_appearance(self.appearance, crops, embeddings)
        fit_landmarks(self.geometry.requires_grad_(), crops, self._steps)
        self.requires_grad_(False)
        self.fitted.fill_(True)
        return embeddings

    def adopt(self, states: Mapping[str, Mapping[str, Tensor]], *, source: str) -> None:
        """Take all three, and remember that they have been fitted."""
        super().adopt(states, source=source)
        self.fitted.fill_(True)

    def embed(self, images: Tensor) -> Tensor:
        """Standardised embeddings `[B, 128]`."""
        return self.identity.embed(images)

    def coefficients(self, images: Tensor) -> Tensor:
        """All coefficients of the landmark model."""
        return self.geometry.coefficients(images)

    def steering(self, coefficients: Tensor) -> Tensor:
        """All of them."""
        return coefficients

    @torch.no_grad()
    def render(self, images: Tensor, identity: Tensor, coefficients: Tensor) -> Tensor:
        """Faces of the appearance model where the coefficients say that the faces are."""
        return self.appearance.render(identity, self.geometry.landmarks(coefficients), images)

    def geometry_loss(self, original: Tensor, output: Tensor) -> Tensor:
        """Eq. 19 alone and as it is written, with landmarks in pixels of the crop."""
        there, here = self.geometry.landmarks(original), self.geometry.landmarks(output)
        return landmark_loss(there, here, "sum")


def load_priors(
    settings: TrainingSettings,
    reduction: Reduction | None = "sum",
    morphology: Morphology = "shape+expression",
) -> Priors:
    """The priors that the settings name; the other arguments are for the official ones' `load`.

    Raises:
        MissingArtefact: Their weights are not on this machine.
    """
    if settings.priors == "official":
        return OfficialPriors.load(reduction, morphology)
    return DemoPriors(settings.fit_steps)


def start_from_stylegan2(decoder: FusionDecoder) -> None:
    """Give a decoder the weights of StyleGAN2 trained on FFHQ (GENP).

    What a fusion decoder adds stays; so do layers by AdaIN, whose weights have other shapes.

    Raises:
        MissingArtefact: They are not on this machine.
        BadData: The decoder has another size.
    """
    weights.require_by_hand(["stylegan2-ffhq-256"])
    path = weights.path("stylegan2-ffhq-256")
    prior = Decoder(decoder.sizes)
    load_state(prior, load_file(path), source=str(path), unused=("style.*", "noises.*"))
    own = decoder.state_dict()
    decoder.load_state_dict(
        {k: v for k, v in prior.state_dict().items() if k in own and v.shape == own[k].shape},
        strict=False,
    )


def prior_parameters(decoder: FusionDecoder) -> list[nn.Parameter]:
    """The parameters of a decoder that StyleGAN2 has, too, in their order."""
    added = ("pyramid.", "fusion_mask.", "hiding_injects.")
    return [p for name, p in decoder.named_parameters() if not name.startswith(added)]
