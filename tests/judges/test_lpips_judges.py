"""LPIPS as judges on images in [0, 1], against what its authors print."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anonbench import registry
from anonbench.data.images import read_image
from anonbench.engine import models


@pytest.fixture
def judge(artefact: Callable[[str], Path]):
    def build(name: str):
        for weight in registry.judges.card(name).weights:
            artefact(weight)
        return models.perceptual(registry.judges.card(name), "cpu")

    return build


@pytest.fixture
def examples(shared: Path) -> dict[str, torch.Tensor]:
    folder = shared / "reference" / "lpips-examples"
    return {
        name: torch.from_numpy(read_image(folder / f"ex_{name}.png")).permute(2, 0, 1) / 255
        for name in ("ref", "p0", "p1")
    }


def test_alexs_distances_are_those_in_the_readme_of_its_authors(judge, examples) -> None:
    distorted = torch.stack([examples["p0"], examples["p1"]])
    reference = examples["ref"].expand_as(distorted)
    distances = judge("lpips-alex").distance(reference, distorted)
    assert distances.shape == (2,)
    assert [round(value, 3) for value in distances.tolist()] == [0.722, 0.138]


def test_vgg_agrees_which_is_nearer_and_judges_image_by_image(judge, examples) -> None:
    vgg = judge("lpips-vgg")
    near, far = (vgg.distance(examples["ref"][None], examples[name][None]) for name in ("p1", "p0"))
    assert 0 < near < far
    assert float(vgg.distance(examples["ref"][None], examples["ref"][None])) == 0
    assert float(judge("lpips-alex").distance(examples["ref"][None], examples["p0"][None])) != far
