"""The classical baselines against independent references."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.transforms import functional as tv

from anonbench import registry
from anonbench.errors import BadConfig

NAMES = [
    name
    for name in registry.methods.names()
    if name.split("-")[0] in ("identity", "blackout", "blur", "pixelate")
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def build(spec):
    card = registry.methods.parse(spec)
    return registry.methods.load(card.name)(card, "cpu")


def images(height, width, count=2):
    return torch.rand((count, 3, height, width), generator=torch.Generator().manual_seed(3))


def anonymize(spec, faces):
    return build(spec).anonymize(faces, [bytes(32)] * len(faces))


def block_means(image, block):
    """Block means by plain loops, the last row and column of blocks possibly smaller."""
    result = np.empty_like(image)
    for top in range(0, image.shape[-2], block):
        for left in range(0, image.shape[-1], block):
            square = np.s_[..., top : top + block, left : left + block]
            result[square] = image[square].mean(axis=(-2, -1), keepdims=True)
    return result


def test_all_strengths_are_registered():
    assert set(NAMES) == {
        "identity",
        "blackout",
        "blur",
        "blur-light",
        "blur-heavy",
        "pixelate",
        "pixelate-light",
        "pixelate-heavy",
    }


def test_identity_returns_an_equal_copy():
    faces = images(64, 64)
    result = anonymize("identity", faces)
    assert torch.equal(result, faces)
    assert result.data_ptr() != faces.data_ptr()


def test_blackout_leaves_nothing_of_the_crop():
    assert not anonymize("blackout", images(64, 64)).any()


@pytest.mark.parametrize(
    ("size", "block", "pixels"),
    [(256, 16, 16), (256, 7, 7), (112, 32, 14), (100, 8, 3), (40, 4, 1), (64, 999, 64)],
)
def test_pixelate_is_the_block_mean(size, block, pixels):
    faces = images(size, size)
    result = anonymize(f"pixelate:block={block}", faces).numpy()
    np.testing.assert_allclose(result, block_means(faces.numpy(), pixels), atol=2e-6)


@pytest.mark.parametrize(("size", "sigma"), [(256, 4.0), (128, 8.0), (64, 16.0), (20, 200.0)])
def test_blur_agrees_with_scipy(size, sigma):
    faces = images(size, size)
    local = sigma * size / 256
    expected = ndimage.gaussian_filter(
        faces.numpy().astype(np.float64), (0, 0, local, local), mode="nearest", truncate=4.0
    )
    result = anonymize(f"blur:sigma={sigma}", faces).numpy()
    np.testing.assert_allclose(result, expected, atol=2e-6)


def test_blur_agrees_with_torchvision_away_from_the_border():
    faces = images(256, 256, 1)
    expected = tv.gaussian_blur(faces, [33, 33], [4.0, 4.0])
    inner = np.s_[..., 16:-16, 16:-16]
    torch.testing.assert_close(
        anonymize("blur-light", faces)[inner], expected[inner], atol=2e-6, rtol=0
    )


@pytest.mark.parametrize("family", ["blur", "pixelate"])
def test_a_stronger_setting_leaves_less_detail(family):
    faces = images(128, 128)
    light, default, heavy = (
        anonymize(name, faces).std().item()
        for name in (f"{family}-light", family, f"{family}-heavy")
    )
    assert light > default > heavy > 0


@pytest.mark.parametrize("name", ["blackout", "blur", "pixelate"])
def test_region_face_changes_the_face_and_keeps_the_corners(name):
    faces = images(128, 128)
    whole, face = anonymize(name, faces), anonymize(f"{name}:region=face", faces)
    same_as_input = (face == faces).all(1).all(0)
    assert same_as_input[:16, :16].all() and same_as_input[-8:, -16:].all()
    assert torch.equal(face[..., 40:110, 40:88], whole[..., 40:110, 40:88])
    assert 0.55 < 1 - same_as_input.float().mean() < 0.65


@pytest.mark.parametrize("size", [128, 256])
def test_region_face_covers_the_landmarks_of_the_ffhq_template(size):
    """Mean eye, nose, mouth and chin positions of 297 LFW faces in that alignment."""
    points = torch.tensor([[96, 120], [160, 120], [128, 157], [100, 186], [156, 186], [128, 240]])
    result = anonymize("blackout:region=face", torch.ones(1, 3, size, size))
    for x, y in (points * size / 256).long().tolist():
        assert result[0, 0, y, x] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [97, 160])
def test_bits_do_not_depend_on_the_batch(name, size):
    faces = images(size, size, 5)
    together = anonymize(name, faces)
    alone = torch.cat([anonymize(name, face[None]) for face in faces])
    assert torch.equal(together, alone)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pixelate:block=0", "block must be at least 1, not 0"),
        ("pixelate:block=8.5", "block must be int"),
        ("pixelate:region=nose", "region must be crop or face, not 'nose'"),
        ("blur:sigma=0", "sigma must be above 0"),
        ("blur:sigma=-3", "sigma must be above 0"),
        ("blur:sigma=nan", "sigma must be above 0"),
        ("blur:sigma=1e9", "at most 256"),
        ("blackout:region=", "region must be crop or face"),
    ],
)
def test_a_bad_config_is_one_clear_error(spec, message):
    with pytest.raises(BadConfig, match=message):
        build(spec)


def test_readme_names_every_registered_strength():
    readme = Path(__file__).parents[2] / "methods/anonbench_obfuscation/README.md"
    text = readme.read_text(encoding="utf-8")
    assert not [name for name in NAMES if f"`{name}`" not in text]
