import math

import torch

from anonbench.training.warps import aligned, carry, similarities, warp

SIZE = 64


def test_points_go_where_their_pixels_go() -> None:
    angle, scale = torch.tensor([0.3, -0.2, 0.0]), torch.tensor([1.1, 0.9, 1.0])
    matrices = similarities(angle, scale, torch.tensor([[0.1, -0.05], [0.0, 0.1], [0.0, 0.0]]))
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    place = torch.tensor([40.0, 22.0])
    dot = torch.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 8)
    moved = warp(dot.expand(3, 1, SIZE, SIZE), matrices)
    there = carry(place.expand(3, 1, 2), matrices, SIZE)
    for image, (point,) in zip(moved[:, 0], there, strict=True):
        weight = image / image.sum()
        centre = torch.stack([(weight * x).sum(), (weight * y).sum()])
        assert float((centre - point).norm()) < 0.1
    assert torch.allclose(there[2, 0], place, atol=1e-3)
    assert float((there[0, 0] - place).norm()) > 5


def test_a_quarter_turn() -> None:
    image = torch.rand(1, 3, SIZE, SIZE)
    matrices = similarities(torch.tensor([math.pi / 2]), torch.ones(1), torch.zeros(1, 2))
    assert torch.allclose(warp(image, matrices), image.rot90(1, (2, 3)), atol=1e-3)


def test_points_of_aligned_crops_are_where_they_shall_be() -> None:
    """Three dots of an image, one turned and one larger, come to their places in the crop."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    places = torch.tensor([[-0.5, -0.4], [0.5, -0.4], [0.0, 0.5]])
    pixels = (places + 1) * torch.tensor([48.0, 56.0]) / 2 - 0.5  # of a crop 48 wide, 56 high
    square = places * SIZE / 2 * 0.4
    turned = torch.stack([square[:, 1], -square[:, 0]], dim=1)
    points = torch.stack([square + 30.0, turned + 33.0])
    for place in range(3):
        centre = points[:, place, :, None, None]
        dots = torch.exp(-((x - centre[:, 0]) ** 2 + (y - centre[:, 1]) ** 2) / 4)[:, None]
        crops = aligned(dots, points, places, (56, 48))
        assert crops.shape == (2, 1, 56, 48)
        rows, columns = torch.meshgrid(torch.arange(56), torch.arange(48), indexing="ij")
        for crop in crops[:, 0]:
            weight = crop / crop.sum()
            found = torch.stack([(weight * columns).sum(), (weight * rows).sum()])
            assert float((found - pixels[place]).norm()) < 0.3
