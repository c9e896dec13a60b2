"""Order, parts and flips of batches."""

from collections import Counter

import numpy as np
import pytest
import torch

from anonbench.training.crops import Crops
from anonbench.training.sampling import Sampler, derived_seed, fingerprint, mirrored

CPU = torch.device("cpu")
# Left and right partners among the 68 iBUG landmarks, numbered from 1 as on the chart of
# https://ibug.doc.ic.ac.uk/resources/facial-point-annotations; the others are on the midline.
PARTNERS = """1-17 2-16 3-15 4-14 5-13 6-12 7-11 8-10 18-27 19-26 20-25 21-24 22-23 32-36 33-35
37-46 38-45 39-44 40-43 41-48 42-47 49-55 50-54 51-53 56-60 57-59 61-65 62-64 66-68"""


def crops(count: int = 5, size: int = 8, repeat: tuple[int, ...] | None = None) -> Crops:
    """Crops whose pixels and landmarks tell which one they are."""
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    points = random.uniform(0, size - 1, (count, 68, 2)).astype(np.float32)
    times = np.array(repeat or (1,) * count, np.int64)
    return Crops(images, points, times, tuple("abcdefghij"[:count]), {})


def test_an_epoch_holds_every_crop_as_often_as_it_counts() -> None:
    sampler = Sampler(crops(repeat=(1, 2, 1, 0, 3)), 4, 0)
    drawn = np.concatenate([sampler.indices(step) for step in range(7)])
    epochs = drawn.reshape(4, 7)
    for epoch in epochs:
        assert Counter(epoch.tolist()) == {0: 1, 1: 2, 2: 1, 4: 3}
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_batch_may_be_larger_than_the_data() -> None:
    drawn = Sampler(crops(3), 10, 0).indices(1)
    assert sorted(Counter(drawn.tolist())) == [0, 1, 2]
    assert max(Counter(drawn.tolist()).values()) <= 5


def test_a_step_alone_decides_its_batch() -> None:
    one, other = Sampler(crops(), 4, 7), Sampler(crops(), 4, 7)
    for step in range(6):
        one.batch(step, CPU)
    assert torch.equal(one.batch(6, CPU).images, other.batch(6, CPU).images)
    elsewhere = [Sampler(crops(), 4, 8).indices(step).tolist() for step in range(6)]
    assert elsewhere != [one.indices(step).tolist() for step in range(6)]


def test_processes_share_a_batch() -> None:
    whole = Sampler(crops(), 6, 0).batch(3, CPU)
    parts = [Sampler(crops(), 6, 0, process, 3).batch(3, CPU) for process in range(3)]
    assert [len(part.images) for part in parts] == [2, 2, 2]
    together = torch.stack([part.images for part in parts], dim=1).flatten(0, 1)
    assert torch.equal(together, whole.images)


def test_batches_are_floats_with_channels_first() -> None:
    data = crops()
    sampler = Sampler(data, 4, 0)
    batch = sampler.fixed(3, CPU)
    assert batch.images.dtype == batch.points.dtype == torch.float32
    assert batch.images.shape == (3, 3, 8, 8)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    known = {image.tobytes(): i for i, image in enumerate(data.images)}
    levels = (batch.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    numbers = [known[image.tobytes()] for image in levels]
    assert len(set(numbers)) == 3
    assert (batch.points.numpy() == data.points[numbers]).all()


def test_half_of_the_images_are_mirrored_with_their_landmarks() -> None:
    data = crops()
    sampler = Sampler(data, 5, 0)
    flipped = 0
    for step in range(100):
        batch = sampler.batch(step, CPU)
        images = (batch.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for index, image, points in zip(
            sampler.indices(step), images, batch.points.numpy(), strict=True
        ):
            if (image == data.images[index]).all():
                assert (points == data.points[index]).all()
            else:
                assert (image == data.images[index][:, ::-1]).all()
                assert (points == mirrored(data.points[index], 8)).all()
                flipped += 1
    assert 200 < flipped < 300


def test_mirrored_landmarks_name_the_other_side() -> None:
    random = np.random.default_rng(0)
    points = random.permutation(np.indices((9, 9)).reshape(2, 81).T)[:68].astype(np.float32)
    image = np.zeros((9, 9), int)
    image[tuple(points[:, ::-1].astype(int).T)] = np.arange(1, 69)
    moved = mirrored(points, 9).astype(int)
    found = image[:, ::-1][moved[:, 1], moved[:, 0]]
    partner = {number: number for number in range(1, 69)}
    for pair in PARTNERS.split():
        a, b = map(int, pair.split("-"))
        partner[a], partner[b] = b, a
    assert found.tolist() == [partner[number] for number in range(1, 69)]


def test_every_use_has_a_seed_of_its_own() -> None:
    seeds = {
        derived_seed(seed, stream, number, process)
        for seed in range(3)
        for stream in range(5)
        for number in range(50)
        for process in range(2)
    }
    assert len(seeds) == 3 * 5 * 50 * 2
    assert all(0 <= seed < 2**32 for seed in seeds), "what NumPy takes"


@pytest.mark.parametrize("other", [crops(4), crops(repeat=(1, 1, 2, 1, 1))])
def test_fingerprints_tell_data_apart(other: Crops) -> None:
    assert fingerprint(crops()) == fingerprint(crops())
    assert fingerprint(other) != fingerprint(crops())
