"""What the demo's training needs before it starts: priors fitted to the training crops.

Randomness is torch's; progress is logged.
"""

import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.data.align import template
from anonbench.engine import models
from anonbench.errors import BadData
from anonbench.generative.appearance import AppearancePrior
from anonbench.generative.demo_priors import DemoIdentity, LandmarkPrior
from anonbench.generative.views import signed, slight_similarities
from anonbench.nets.dlib_resnet import SIZE
from anonbench.registry import judges
from anonbench.training.crops import DETECTOR, Crops
from anonbench.training.warps import carry, warp

_ALIGNED = 300  # crops from which the alignment is taken
_DRAWN = 4000  # crops from which the appearance is taken
_BATCH = 64
_LOG = logging.getLogger(__name__)


def fit_identity(identity: DemoIdentity, crops: Crops) -> Tensor:
    """Set alignment, mean and deviation; return the embeddings `[N, 128]` of all crops.

    Raises:
        BadData: dlib finds no face in the crops that were drawn for the alignment.
    """
    identity.chip.copy_(_chip(crops))
    embeddings = embed_all(crops, identity.raw, identity.mean.device)
    identity.mean.copy_(embeddings.mean(dim=0))
    identity.deviation.copy_(embeddings.std(dim=0))
    return (embeddings - identity.mean) / identity.deviation


@torch.no_grad()
def embed_all(crops: Crops, embed: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """Embeddings `[N, n]` of all crops by a function of images `[B, 3, S, S]` in `[-1, 1]`."""
    embeddings = []
    for start in range(0, len(crops.images), _BATCH):
        embeddings.append(embed(signed(crops.images[start : start + _BATCH]).to(device)))
        if start % (_BATCH * 20) == 0:
            _LOG.info("embedding crop %d of %d", start, len(crops.images))
    return torch.cat(embeddings)


def _chip(crops: Crops) -> Tensor:
    """The median `[2, 3]` of the alignments that dlib would choose itself."""
    detector, aligned = models.detector(judges.card(DETECTOR)), template(f"dlib-{SIZE}")
    matrices = [
        aligned.matrix(face)
        for index in torch.randperm(len(crops.images))[:_ALIGNED]
        for face in detector.detect(np.asarray(crops.images[index]), 1)[:1]
    ]
    if not matrices:
        raise BadData("dlib finds no face in the crops.", mend="Train on photographs of faces.")
    return torch.from_numpy(np.median(np.stack(matrices), axis=0))


def fit_landmarks(prior: LandmarkPrior, crops: Crops, steps: int) -> None:
    """Fit the linear model, then teach the network to read dlib's landmarks from pixels.

    Each step sees crops shifted, scaled and turned a little, with other brightness and contrast,
    so that the network also works on what the decoder makes of a face.
    """
    prior.fit(crops.points)
    device = prior.mean.device
    optimizer = torch.optim.AdamW(prior.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        images, points = (part.to(device) for part in _disturbed_faces(crops))
        with torch.autocast(device.type, torch.bfloat16):
            found = prior.landmarks(prior.coefficients(images))
        loss = functional.smooth_l1_loss(found, points, beta=2.0)
        _descend(optimizer, loss)
        schedule.step()
        if step % 100 == 0:
            error = (found - points).norm(dim=-1).mean()
            _LOG.info("landmarks, step %d of %d: %.2f px", step, steps, float(error.detach()))


def _disturbed_faces(crops: Crops) -> tuple[Tensor, Tensor]:
    """A batch of crops, each moved and recoloured, and its landmarks."""
    chosen = torch.randint(len(crops.images), (_BATCH,)).numpy()
    images, points = signed(crops.images[chosen]), torch.from_numpy(crops.points[chosen])
    matrices = slight_similarities(_BATCH)
    contrast = 0.6 + 0.6 * torch.rand(_BATCH, 1, 1, 1)
    brightness = 0.6 * torch.rand(_BATCH, 3, 1, 1) - 0.3
    recoloured = (warp(images, matrices) * contrast + brightness).clamp(-1, 1)
    return recoloured, carry(points, matrices, images.shape[-1])


def fit_appearance(prior: AppearancePrior, crops: Crops, identities: Tensor) -> None:
    """Fit the appearance model to some crops and the identities `[N, 128]` of all."""
    device = prior.mean.device
    chosen = torch.split(torch.randperm(len(crops.images))[:_DRAWN], _BATCH)
    _LOG.info("appearance of %d faces", sum(map(len, chosen)))
    prior.fit(
        lambda indexes: signed(crops.images[indexes.numpy()]).to(device),
        torch.from_numpy(crops.points).to(device),
        identities,
        chosen,
    )


def fit_dummy(
    dummy: nn.Module,
    embeddings: Tensor,
    steps: int = 300,
    batch: int = 256,
    noise: int | None = None,
) -> None:
    """Teach a network to draw identities like the crops' own, by the energy distance of batches.

    Source: Székely and Rizzo, "Energy statistics" (2013).

    Args:
        dummy: Makes identities `[B, n]` of noise.
        embeddings: `[N, n]`, what they shall be like.
        steps: Of Adam.
        batch: Identities in each.
        noise: Length of the noise from N(0, 1); n if None.
    """
    optimizer = torch.optim.Adam(dummy.parameters(), lr=1e-3)
    length = noise or embeddings.shape[1]
    for step in range(steps):
        real = embeddings[torch.randint(len(embeddings), (batch,))]
        loss = energy_distance(dummy(torch.randn(batch, length).to(real)), real)
        _descend(optimizer, loss)
        if step % 100 == 0:
            _LOG.info("identities, step %d of %d: %.4f apart", step, steps, float(loss.detach()))


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """How far two distributions are apart, from samples `[N, d]` and `[M, d]`; about 0 if equal."""
    apart = 2 * torch.cdist(a, b).mean()
    return apart - torch.pdist(a).mean() - torch.pdist(b).mean()


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
