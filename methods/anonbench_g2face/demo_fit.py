"""What the demo's training needs before it starts: priors fitted to the training crops."""

import logging

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anonbench.data.align import template
from anonbench.engine import models
from anonbench.nets.dlib_resnet import SIZE
from anonbench.registry import judges
from anonbench.training.crops import DETECTOR, Crops
from anonbench_g2face.demo import DemoIdentity, LandmarkPrior
from anonbench_g2face.networks import DummyIdentity

_CHIPS = 300  # crops from which the mean alignment is taken
_LOG = logging.getLogger(__name__)


def signed(images: np.ndarray) -> Tensor:
    """Crops `[B, S, S, 3]` uint8 as `[B, 3, S, S]` in `[-1, 1]`."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def fit_identity(identity: DemoIdentity, crops: Crops, rng: np.random.Generator) -> Tensor:
    """Set alignment, mean and deviation; return the embeddings `[N, 128]` of all crops."""
    matrices = []
    for index in rng.permutation(len(crops.images))[:_CHIPS]:
        image = np.asarray(crops.images[index])
        for face in models.detector(judges.card(DETECTOR)).detect(image, 1)[:1]:
            matrices.append(template(f"dlib-{SIZE}").matrix(face))
    identity.chip.copy_(torch.from_numpy(np.median(np.stack(matrices), axis=0)))
    with torch.no_grad():
        raw = torch.cat(
            [
                identity.raw(signed(crops.images[i : i + 64]))
                for i in range(0, len(crops.images), 64)
            ]
        )
    identity.mean.copy_(raw.mean(dim=0))
    identity.deviation.copy_(raw.std(dim=0))
    return (raw - identity.mean) / identity.deviation


def fit_landmarks(prior: LandmarkPrior, crops: Crops, rng: np.random.Generator, steps: int) -> None:
    """Fit the linear model, then teach the network to read dlib's landmarks from pixels.

    Each step sees crops shifted, scaled and turned a little, with other brightness and contrast,
    so that the network also works on what the decoder makes of a face.
    """
    prior.fit(crops.points)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        chosen = np.sort(rng.choice(len(crops.images), 64, replace=False))
        images, points = _disturbed(signed(crops.images[chosen]), crops.points[chosen], rng)
        with torch.autocast("cpu", torch.bfloat16):
            found = prior.landmarks(prior.coefficients(images))
        loss = functional.smooth_l1_loss(found, points, beta=2.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            error = (found - points).norm(dim=-1).mean()
            _LOG.info("landmarks %d/%d: %.2f px", step, steps, float(error.detach()))


def _disturbed(
    images: Tensor, points: np.ndarray, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    batch, size = len(images), images.shape[-1]
    angle, scale = rng.normal(0, 0.08, batch), np.exp(rng.normal(0, 0.06, batch))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1)
    matrix = torch.from_numpy((turn * scale[:, None]).reshape(batch, 2, 2)).float()
    shift = torch.from_numpy(rng.normal(0, 0.03, (batch, 2, 1))).float()
    grid = functional.affine_grid(torch.cat([matrix, shift], 2), list(images.shape), False)
    moved = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast = torch.from_numpy(rng.uniform(0.6, 1.2, (batch, 1, 1, 1))).float()
    brightness = torch.from_numpy(rng.uniform(-0.3, 0.3, (batch, 3, 1, 1))).float()
    unit = (torch.as_tensor(points) + 0.5) * (2 / size) - 1  # as grids have it
    there = torch.linalg.solve(matrix, unit.mT - shift).mT
    return (moved * contrast + brightness).clamp(-1, 1), ((there + 1) * size - 1) / 2


def fit_dummy(dummy: DummyIdentity, embeddings: Tensor, steps: int = 300, batch: int = 256) -> None:
    """Teach `f_dummy` to draw identities like the crops' own, by the energy distance of batches.

    Source: Székely and Rizzo, "Energy statistics" (2013).
    """
    optimizer = torch.optim.Adam(dummy.parameters(), lr=1e-3)
    length = embeddings.shape[1]
    for step in range(steps):
        real = embeddings[torch.randint(len(embeddings), (batch,))]
        drawn = dummy(torch.randn(batch, length))
        apart = 2 * torch.cdist(drawn, real).mean()
        loss = apart - torch.pdist(drawn).mean() - torch.pdist(real).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 200 == 0:
            _LOG.info("dummy identities %d/%d: %.4f apart", step, steps, float(loss.detach()))
