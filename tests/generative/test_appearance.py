"""The appearance model: what it is taken from, and what it draws where."""

import torch
from generative_world import face_points
from torch import Tensor

from anonbench.generative.appearance import AppearancePrior, Renderer
from anonbench.generative.demo_priors import LandmarkPrior
from anonbench.generative.swaps import face_regions

SIZE, COUNT, DIM = 128, 192, 128


def landmarks() -> Tensor:
    return torch.from_numpy(face_points(SIZE)).float()


def people(count: int = COUNT) -> tuple[Tensor, Tensor]:
    """Identities whose first value says how dark the left half of the face is, and the crops."""
    generator = torch.Generator().manual_seed(3)
    identities = torch.randn(count, DIM, generator=generator)
    images = torch.full((count, 3, SIZE, SIZE), 0.1)
    images[..., : SIZE // 2] -= 0.15 * identities[:, 0, None, None, None].clamp(-2, 2)
    return identities, images


def fitted() -> AppearancePrior:
    prior = AppearancePrior()
    identities, images = people()
    points = landmarks().expand(COUNT, -1, -1)
    prior.fit(lambda some: images[some], points, identities, torch.arange(COUNT).split(64))
    return prior


def drawn(prior: AppearancePrior, identity: Tensor, image: Tensor) -> Tensor:
    return prior.render(identity[None], landmarks()[None], image[None])[0]


def contrast(image: Tensor) -> float:
    """How much brighter the right half of the inner face is than the left."""
    inner = image[:, 56:80]
    return float(inner[..., 68:80].mean() - inner[..., 48:60].mean())


def test_what_an_identity_looks_like_is_learned_from_faces() -> None:
    prior, identity = fitted(), torch.zeros(DIM)
    image = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) - 0.5
    shown = []
    for value in (-2.0, 0.0, 2.0):
        identity[0] = value
        shown.append(contrast(drawn(prior, identity, image)))
    assert shown[0] + 0.1 < shown[1] < shown[2] - 0.1


def test_nothing_changes_outside_the_face_and_grey_stays_grey() -> None:
    prior, (identities, _) = fitted(), people()
    prior.up.add_(torch.randn(prior.up.shape, generator=torch.Generator().manual_seed(2)))
    grey = torch.linspace(-0.8, 0.8, SIZE).expand(3, SIZE, SIZE)
    result = drawn(prior, identities[0], grey)
    outside = face_regions(landmarks()[None], SIZE)[0, 0] == 0
    assert torch.equal(result[:, outside], grey[:, outside])
    assert not torch.allclose(result, grey, atol=0.05)
    assert float((result - result.mean(dim=0)).abs().max()) < 0.02


def test_the_renderer_reads_the_landmarks_itself_and_each_image_alone() -> None:
    prior, geometry = fitted(), LandmarkPrior(size=4, width=8)
    geometry.mean.copy_((landmarks() / SIZE).flatten())
    geometry.basis.normal_(std=0.01)
    renderer = Renderer(prior, geometry)
    identities, images = people(3)
    with torch.no_grad():
        together = renderer(identities, images)
        alone = torch.cat([renderer(identities[i : i + 1], images[i : i + 1]) for i in range(3)])
        points = geometry.landmarks(geometry.coefficients(images[:1]))
    assert torch.equal(together, alone)
    assert torch.equal(together[:1], prior.render(identities[:1], points, images[:1]))
