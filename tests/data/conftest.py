"""Small datasets on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeLfw = Callable[..., Path]


def save_image(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def make_lfw(tmp_path: Path) -> MakeLfw:
    """Builds an LFW of 4 people with 2 images and 2 folds: images and pairs file where asked."""

    def make(images: str = "lfw/lfw-deepfunneled", pairs: str = "lfw/pairs.txt") -> Path:
        root = tmp_path / "data"
        for seed, person in enumerate(("Ann_A", "Bob", "Cid", "Dan")):
            for number in (1, 2):
                save_image(root / images / person / f"{person}_{number:04d}.jpg", seed * 2 + number)
        (root / pairs).parent.mkdir(parents=True, exist_ok=True)
        (root / pairs).write_text(
            "2\t1\nAnn_A\t1\t2\nAnn_A\t1\tBob\t1\nCid\t2\t1\nCid\t2\tDan\t1\n"
        )
        return root

    return make


@pytest.fixture
def make_orl(tmp_path: Path) -> Callable[[], Path]:
    """Builds an ORL of the official layout with images of 4 x 4."""

    def make() -> Path:
        root = tmp_path / "orl"
        for person in range(1, 41):
            (root / f"s{person}").mkdir(parents=True)
            for image in range(1, 11):
                pixels = np.full((4, 4), person * 5 + image, np.uint8)
                Image.fromarray(pixels).save(root / f"s{person}" / f"{image}.pgm")
        return root

    return make


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Builds a folder with an image at each of the given paths."""

    def make(*paths: str) -> Path:
        root = tmp_path / "photos"
        for seed, path in enumerate(paths):
            save_image(root / path, seed)
        return root

    return make
