"""Files of e4e: read strictly, kept as safetensors, and the wrong StyleGAN2 named."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from network_facts import on_meta
from torch import Tensor

from anonbench.errors import BadData
from anonbench.nets.e4e import Inverter
from anonbench.weights import e4e

SHALLOW = ((16, 1), (16, 1), (16, 1), (16, 1))
"""An encoder of four units and 16 channels: the layout is the official one's."""


def shapes(latents: int) -> dict[str, Tensor]:
    """The state dict of a full encoder in next to no memory or disk: one number per tensor."""
    state = on_meta(lambda: Inverter(latents)).state_dict()
    return {key: torch.zeros((), dtype=t.dtype).expand(t.shape) for key, t in state.items()}


def official(
    state: dict[str, Tensor], encoder: str = "Encoder4Editing", pack: type = dict
) -> dict[str, object]:
    """The same as the pSp framework writes it."""
    inner = {key: value for key, value in state.items() if key != "latent_avg"}
    decoder = {"decoder.input.input": torch.ones(1, 512, 4, 4)}
    opts = pack(stylegan_size=256, encoder_type=encoder)
    content: dict[str, object] = {"state_dict": inner | decoder, "opts": opts}
    return content | {key: state[key] for key in state if key == "latent_avg"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    def written(content: object) -> Path:
        torch.save(content, tmp_path / "e4e_ffhq_encode.pt")
        return tmp_path / "e4e_ffhq_encode.pt"

    return written


@torch.no_grad()
@pytest.mark.parametrize("latents", [14, 18])
def test_what_is_kept_computes_the_same_around_the_mean_code(
    tmp_path: Path, write: Callable[[object], Path], latents: int
) -> None:
    torch.manual_seed(0)
    net = Inverter(latents, SHALLOW).eval()
    net.latent_avg.normal_()
    target = tmp_path / "e4e.safetensors"
    e4e.convert(write(official(net.state_dict())), target, latents, SHALLOW)
    kept = Inverter.load(target, latents, SHALLOW)
    images = torch.rand(1, 3, 256, 256)
    codes = kept(images)
    assert codes.shape == (1, latents, 512)
    assert torch.equal(codes, net.encoder(images) + net.latent_avg)
    assert not any(parameter.requires_grad for parameter in kept.parameters())
    assert list(kept.state_dict()) == list(net.state_dict())


def test_an_encoder_for_1024_pixels_is_refused_where_256_are_wanted(
    tmp_path: Path, write: Callable[[object], Path]
) -> None:
    path = write(official(shapes(18)))
    with pytest.raises(BadData) as caught:
        e4e.ffhq_256(path, tmp_path / "kept")
    assert str(caught.value) == (
        f"{path} is for StyleGAN2 of 1024 pixels: it has 18 x 512 codes, not the 14 x 512 of 256 "
        "pixels. Codes of one StyleGAN2 mean nothing to another. Give RiDDLE's "
        "e4e_ffhq_encode_256.pt."
    )
    assert not (tmp_path / "kept").exists()


def test_and_the_other_way_round(tmp_path: Path, write: Callable[[object], Path]) -> None:
    with pytest.raises(BadData, match=r"14 x 512 codes, not the 18 x 512.*e4e_ffhq_encode\.pt"):
        e4e.ffhq_1024(write(official(shapes(14))), tmp_path / "kept")


def test_a_mean_code_of_another_size_is_refused_likewise(
    tmp_path: Path, write: Callable[[object], Path]
) -> None:
    state = shapes(14) | {"latent_avg": torch.zeros(18, 512)}
    with pytest.raises(BadData, match="18 x 512 codes, not the 14 x 512 of 256 pixels"):
        e4e.ffhq_256(write(official(state)), tmp_path / "kept")


@pytest.mark.parametrize("pack", [dict, Namespace])
def test_psps_encoder_is_refused_whose_keys_are_the_same(
    tmp_path: Path, write: Callable[[object], Path], pack: type
) -> None:
    path = write(official(shapes(18), "GradualStyleEncoder", pack))
    with pytest.raises(BadData, match="the encoder GradualStyleEncoder, not e4e's Encoder4Editing"):
        e4e.ffhq_1024(path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_differences_are_listed(tmp_path: Path, write: Callable[[object], Path]) -> None:
    state = shapes(14) | {"encoder.surplus": torch.ones(1)}
    del state["latent_avg"]
    with pytest.raises(BadData) as caught:
        e4e.ffhq_256(write(official(state)), tmp_path / "kept")
    assert "1 missing: latent_avg." in str(caught.value)
    assert "1 unexpected: encoder.surplus." in str(caught.value)
    with pytest.raises(BadData, match="no entry 'state_dict'"):
        e4e.ffhq_256(write({"g_ema": state}), tmp_path / "kept")
