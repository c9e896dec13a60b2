"""FALCO's pool of fakes: what decides its content, how it is kept, and who is nearest."""

from functools import partial
from pathlib import Path

import pytest
import torch
from falco_world import small_networks
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from anonbench.engine.store import Store
from anonbench_falco.optimise import Objective
from anonbench_falco.pace import Pace
from anonbench_falco.perception import Perception
from anonbench_falco.pool import Fake, Pool, Recipe, draw_fake, open_pool

RECIPE = Recipe(seed=0, truncation=0.7, ranges="authors", weights={"generator": "0"})
OTHERS = {
    "seed": Recipe(1, 0.7, "authors", {"generator": "0"}),
    "truncation": Recipe(0, 0.5, "authors", {"generator": "0"}),
    "ranges": Recipe(0, 0.7, "trained", {"generator": "0"}),
    "weights": Recipe(0, 0.7, "authors", {"generator": "1"}),
}


class Drawer:
    """Draws fakes, and remembers which; stops like a user at one of them."""

    def __init__(self, stop_at: int | None = None, recipe: Recipe = RECIPE) -> None:
        networks = small_networks()
        perception = Perception(networks.recogniser, networks.attributes, "authors")
        objective = Objective(networks.generator, perception, margin=0)
        self._draw = partial(draw_fake, objective, networks.mean, recipe)
        self.mean, self.generator = networks.mean, networks.generator
        self.stop_at = stop_at
        self.drawn: list[int] = []

    @torch.no_grad()
    def __call__(self, number: int) -> Fake:
        if number == self.stop_at:
            raise KeyboardInterrupt
        self.drawn.append(number)
        return self._draw(number)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(pytest.fail, tmp_path / "store")


def test_the_nearest_fakes_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    styles = torch.randn(300, 8, generator=generator)
    features = torch.randn(300, 16, generator=generator) * torch.rand(300, 1, generator=generator)
    faces = torch.randn(40, 16, generator=generator) * 3
    model = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute").fit(features)
    distances, indices = model.kneighbors(faces)
    found = Pool(styles, features).nearest(faces)
    assert torch.equal(found.styles, styles[indices[:, 0]])
    torch.testing.assert_close(
        found.cosines, 1 - torch.from_numpy(distances[:, 0]), check_dtype=False
    )


def test_a_pool_goes_on_where_it_was_stopped_with_the_same_content(
    store: Store, tmp_path: Path
) -> None:
    whole = open_pool(RECIPE, 8, Drawer(), "cpu", Store(pytest.fail, tmp_path / "other"), shard=3)
    with pytest.raises(KeyboardInterrupt):
        open_pool(RECIPE, 8, Drawer(stop_at=7), "cpu", store, shard=3)
    shards = {file: file.stat().st_mtime_ns for file in store.root.rglob("*.shard")}
    assert len(shards) == 2
    second = Drawer()
    resumed = open_pool(RECIPE, 8, second, "cpu", store, shard=3)
    assert second.drawn == [6, 7]
    assert {file: file.stat().st_mtime_ns for file in shards} == shards
    assert_same(resumed, whole)


def test_a_kept_pool_is_not_drawn_again_and_grows(store: Store) -> None:
    small = open_pool(RECIPE, 3, Drawer(), "cpu", store)
    again = Drawer()
    assert_same(open_pool(RECIPE, 3, again, "cpu", store), small)
    large = open_pool(RECIPE, 5, again, "cpu", store)
    assert again.drawn == [3, 4]
    assert torch.equal(large.styles[:3], small.styles)
    assert_same(open_pool(RECIPE, 3, again, "cpu", store), small)


@pytest.mark.parametrize("what", OTHERS)
def test_another_recipe_is_another_pool(store: Store, what: str) -> None:
    open_pool(RECIPE, 2, Drawer(), "cpu", store)
    drawer = Drawer()
    open_pool(OTHERS[what], 2, drawer, "cpu", store)
    assert drawer.drawn == [0, 1]


@torch.no_grad()
def test_styles_are_truncated_and_follow_from_seed_and_number() -> None:
    drawer = Drawer(recipe=Recipe(0, 1.0, "authors", {}))
    whole = [drawer(number).style for number in (0, 1)]
    part = Drawer(recipe=OTHERS["truncation"])(1).style
    torch.testing.assert_close(part, drawer.mean + 0.5 * (whole[1] - drawer.mean))
    other = Drawer(recipe=Recipe(1, 1.0, "authors", {}))(1).style
    assert (whole[0] - whole[1]).abs().mean() > 0.1
    assert (other - whole[1]).abs().mean() > 0.1


@torch.no_grad()
def test_features_are_those_of_the_image_that_the_style_draws() -> None:
    networks = small_networks()
    fake = Drawer()(4)
    image = networks.generator(fake.style[None], networks.generator.stored_noise())
    small = torch.nn.functional.interpolate(image, 32, mode="bilinear", antialias=True)
    torch.testing.assert_close(fake.features, networks.attributes(small)[0])


def test_long_work_says_now_and_then_how_long_it_still_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    seconds = iter(range(0, 1000, 10))
    pace = Pace("fakes", total=70, done=50, every=25, clock=lambda: float(next(seconds)))
    for _ in range(6):
        pace.advance(2)
    assert caplog.messages == ["fakes: 56 of 70, 70 s left", "fakes: 62 of 70, 40 s left"]


def assert_same(one: Pool, other: Pool) -> None:
    probes: Tensor = torch.randn(20, 16, generator=torch.Generator().manual_seed(2))
    assert torch.equal(one.styles, other.styles)
    for found, expected in zip(one.nearest(probes), other.nearest(probes), strict=True):
        assert torch.equal(found, expected)
