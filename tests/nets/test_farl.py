"""FaRL's image encoder against OpenAI's own vision transformer.

The numbers below were given by `VisionTransformer` of `clip/model.py` in PyPI's clip-anytorch 2.6.0
(MIT, OpenAI's code) with weights filled by rule under the keys `visual.*` with seed 0. To make them
again: load that file alone, fill its `state_dict`, standardise
`numpy.random.default_rng(0).random((count, 3, side, side), float32)` by CLIP's mean and deviation,
and take the output and what its `transformer` gives.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from network_facts import gigamacs, millions, on_meta
from torch import Tensor

from anonbench import weights
from anonbench.errors import BadData
from anonbench.nets.farl import Farl, Geometry, shrink
from anonbench.testing.fill import TensorSpec, fill

SMALL = Geometry(image=64, patch=16, width=48, depth=3, heads=4, features=10)
SHALLOW = Geometry(depth=2)
"""FaRL's own but for ten blocks like these two."""
SMALL_FEATURES = [
    [-2.54791, 3.7059, 2.95619, -5.05154, -0.54333, 0.33708, -0.81084, 1.30967, -2.77857, 0.55072],
    [-2.96682, 6.80845, 0.6231, -2.94005, -1.43001, -2.51968, 0.30003, -0.11592, -2.37622, 3.33084],
]
SMALL_TOKENS = [
    [[5.43476, 8.02482, 2.53503], [4.92932, 1.11570, 0.85057], [7.24412, 0.85706, 1.63809]],
    [[4.36292, 3.54117, 5.79750], [6.06645, -4.91485, 4.00973], [3.80340, 1.25689, 0.43782]],
]
SHALLOW_FEATURES = [-1.17983, 0.11706, 2.94974, -3.1778, -0.80782, -0.56043, 0.86007, 0.38209]
SHALLOW_TOKENS = [
    [1.18095, 0.72053, -1.03217],
    [-1.22826, -3.97032, 1.32594],
    [-1.99792, -1.3684, 2.50089],
]


def filled(net: Farl) -> Farl:
    specs = [
        TensorSpec(f"visual.{key}", tuple(value.shape), "float32")
        for key, value in net.state_dict().items()
    ]
    drawn = fill(specs, 0)
    net.load_state_dict({k.removeprefix("visual."): torch.from_numpy(v) for k, v in drawn.items()})
    return net.eval()


def noise(count: int, side: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, 3, side, side), np.float32))


def checkpoint(path: Path, state: dict[str, Tensor]) -> Path:
    """A file like FaRL's: the image encoder among what else it was trained with."""
    one = torch.ones(1)
    others = [
        "positional_embedding",
        "transformer.resblocks.0.ln_1.weight",
        "token_embedding.weight",
    ]
    others += ["ln_final.bias", "text_projection", "logit_scale", "visual.mask_token"]
    others += ["visual.lm_transformer.resblocks.0.ln_1.weight", "visual.ln_lm.bias"]
    others += ["visual.lm_head.weight"]
    entries = {
        **{f"visual.{key}": value for key, value in state.items()},
        **dict.fromkeys(others, one),
    }
    torch.save({"state_dict": entries}, path)
    return path


@pytest.fixture(scope="module")
def flat() -> dict[str, Tensor]:
    """The encoder's tensors, each of one number in memory."""
    state = on_meta(Farl).state_dict().items()
    return {key: torch.tensor(0.5).expand(value.shape) for key, value in state}


@torch.no_grad()
def test_a_small_one_computes_what_openais_code_does() -> None:
    net = filled(Farl(SMALL))
    images = noise(2, 64)
    torch.testing.assert_close(net(images), torch.tensor(SMALL_FEATURES), rtol=0, atol=2e-4)
    tokens = net.tokens(images)
    assert tokens.shape == (2, 17, 48)
    torch.testing.assert_close(tokens[:, ::8, ::16], torch.tensor(SMALL_TOKENS), rtol=0, atol=2e-4)


@torch.no_grad()
def test_two_blocks_of_vit_b_16_compute_what_openais_code_does() -> None:
    net, images = filled(Farl(SHALLOW)), noise(1, 224)
    features, tokens = net(images)[0, ::64], net.tokens(images)
    assert tokens.shape == (1, 197, 768)
    torch.testing.assert_close(features, torch.tensor(SHALLOW_FEATURES), rtol=0, atol=2e-4)
    some = tokens[0, [0, 1, 196], ::256]
    torch.testing.assert_close(some, torch.tensor(SHALLOW_TOKENS), rtol=0, atol=2e-4)


def test_has_the_size_of_clips_vit_b_16() -> None:
    net = on_meta(Farl)
    assert millions(net) == pytest.approx(86.192640, abs=1e-6)
    # 196 patches, 12 blocks over 197 tokens, the projection of one.
    block = 197 * 12 * 768**2 + 2 * 197**2 * 768
    expected = (196 * 768**2 + 12 * block + 768 * 512) / 1e9
    assert gigamacs(net, (1, 3, 224, 224)) == pytest.approx(expected, rel=1e-6)


def test_tokens_may_be_of_images_as_they_are_and_have_gradients() -> None:
    """As FALCO's attribute loss takes them: not standardised, and of images in any range."""
    net = filled(Farl(SMALL)).requires_grad_(False)
    images = noise(1, 64)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    standardised = ((images - mean) / deviation).requires_grad_()
    tokens = net.tokens(standardised, standardise=False)
    torch.testing.assert_close(tokens, net.tokens(images))
    tokens.abs().sum().backward()
    assert standardised.grad.abs().min() > 0


def test_shrinking_is_torchvisions() -> None:
    images = noise(1, 256)
    expected = torchvision.transforms.Resize(224, antialias=True)(images)
    torch.testing.assert_close(shrink(images), expected)


def test_the_published_file_is_taken_without_its_text_and_its_masks(
    flat: dict[str, Tensor], anonbench_home: Path, tmp_path: Path
) -> None:
    path = weights.import_file("farl", checkpoint(tmp_path / "farl.pth", flat))
    net = Farl.load()
    assert path.suffix == ".safetensors"
    assert all((value == 0.5).all() for value in net.parameters())
    assert not net.training and not any(value.requires_grad for value in net.parameters())


def test_what_the_file_has_too_many_or_too_few_is_listed(
    flat: dict[str, Tensor], anonbench_home: Path, tmp_path: Path
) -> None:
    state = dict(flat)
    del state["ln_post.bias"]
    state["ln_other.bias"] = torch.ones(1)
    with pytest.raises(BadData, match=r"missing: ln_post\.bias\. 1 unexpected: ln_other\.bias"):
        weights.import_file("farl", checkpoint(tmp_path / "farl.pth", state))
    assert not weights.is_present("farl")
