"""Face swaps that teach the demo, and what else is made of images for its training."""

import numpy as np
import pytest
import torch
from generative_world import face_points, toy_crops
from torch import Tensor

from anonbench.generative.demo_losses import enlarged, parted_l1
from anonbench.generative.swaps import face_regions, swap
from anonbench.generative.views import disturbed, published, signed

SIZE = 128
BROWS_TO_MOUTH = slice(17, 68)


def smooth(seed: int) -> Tensor:
    """An image `[1, 3, 128, 128]` that varies slowly."""
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic").clamp(-1, 1)


def points(shift: float = 0.0, scale: float = 1.0) -> Tensor:
    centre = SIZE / 2
    return torch.from_numpy((face_points(SIZE) - centre) * scale + centre + shift)[None]


def dotted(places: Tensor) -> Tensor:
    """A dark image with a bright dot of a few pixels at each place `[N, 2]`."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    squares = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return (torch.exp(-squares / 8).amax(dim=0) * 2 - 1).expand(1, 3, -1, -1)


def test_a_face_swapped_with_itself_stays() -> None:
    image = smooth(0)
    assert torch.allclose(swap(image, points(), image, points()), image, atol=0.02)


@pytest.mark.parametrize(("shift", "scale"), [(6.0, 1.0), (-4.0, 1.15), (0.0, 0.85)])
def test_the_donors_landmarks_fall_on_the_originals(shift: float, scale: float) -> None:
    chosen = [30, 40, 50]  # far from each other and from the edge of the region
    donor_points = points(shift, scale)
    grey = torch.zeros(1, 3, SIZE, SIZE) + 0.5 * dotted(points()[0, [30]])  # some contrast
    made = swap(grey, points(), dotted(donor_points[0, chosen]), donor_points)
    brightness = made.mean(dim=1)[0]
    for x, y in points()[0, chosen].round().int().tolist():
        near = brightness[y - 5 : y + 6, x - 5 : x + 6]
        row, column = divmod(int(near.argmax()), 11)
        assert abs(row - 5) <= 1 and abs(column - 5) <= 1


def test_nothing_changes_outside_the_face() -> None:
    image, donor = smooth(0), smooth(1)
    made = swap(image, points(), donor, points(3.0))
    outside = face_regions(points(), SIZE) == 0
    assert 0.4 < float(outside.float().mean()) < 0.95
    changed = (made - image).abs().amax(dim=1, keepdim=True)
    assert float(changed[outside].max()) == 0
    assert float(changed[~outside].mean()) > 0.05


def test_a_swap_has_the_originals_colour() -> None:
    image, donor = 0.3 * smooth(0) + 0.5, 0.3 * smooth(1) - 0.5
    region = face_regions(points(), SIZE)
    made = swap(image, points(), donor, points())
    for channel in range(3):
        a, b = ((x[:, channel, None] * region).sum() / region.sum() for x in (made, image))
        assert float(a) == pytest.approx(float(b), abs=0.05)


def test_face_regions_hold_the_landmarks_within_the_jaw() -> None:
    region = face_regions(points(), SIZE)
    assert region.shape == (1, 1, SIZE, SIZE) and float(region.max()) == 1
    x, y = points()[0, BROWS_TO_MOUTH].round().long().T
    assert float(region[0, 0, y, x].min()) > 0.5
    assert float(region[0, 0, :8].max()) == 0 and float(region[0, 0, :, :8].max()) == 0


def test_published_images_have_8_bits_and_pass_gradients() -> None:
    image = torch.tensor([-1.5, -0.99, -0.3, 0.0, 0.123, 0.98, 1.2], requires_grad=True)
    out = published(image)
    expected = np.round((np.clip(image.detach().numpy(), -1, 1) + 1) * 127.5) / 127.5 - 1
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-6)
    out.sum().backward()
    assert image.grad is not None
    assert image.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_stored_crops_become_signed_images() -> None:
    crops = toy_crops()
    images = signed(crops.images[:2])
    assert images.shape == (2, 3, 32, 32)
    assert float(images[1, 2, 3, 4]) == pytest.approx(crops.images[1, 3, 4, 2] / 127.5 - 1)


def test_disturbed_copies_differ_and_pass_gradients() -> None:
    torch.manual_seed(0)
    image = smooth(0).repeat(2, 1, 1, 1).requires_grad_()
    copies = disturbed(image)
    assert copies.shape == image.shape
    assert float((copies[0] - copies[1]).abs().mean().detach()) > 0.01
    assert 0.01 < float((copies - image).abs().mean().detach()) < 0.5
    copies.sum().backward()
    assert image.grad is not None and float(image.grad.abs().min()) >= 0 < image.grad.abs().sum()


def test_faces_and_surroundings_count_by_themselves() -> None:
    region = (face_regions(points(), SIZE) > 0.5).float()
    target = torch.zeros(1, 3, SIZE, SIZE)
    assert float(parted_l1(target + 0.2 * region, target, region)) == pytest.approx(0.2, rel=1e-3)
    around = target + 0.2 * (1 - region)
    assert float(parted_l1(around, target, region)) == pytest.approx(0.3, rel=1e-3)


def test_enlarged_faces_fill_the_image() -> None:
    image = face_regions(points(), SIZE).expand(1, 3, -1, -1)
    assert enlarged(image).shape == image.shape
    assert float(enlarged(image).mean()) > 1.5 * float(image.mean())
