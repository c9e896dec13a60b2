"""What the importers of the compared methods say of a file that is not the one they expect.

Wrong numbers of e4e's codes: test_e4e_files. Surplus and missing keys: the methods' own tests.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from network_facts import on_meta
from safetensors.torch import save_file
from torch import Tensor, nn

from anonbench import weights
from anonbench.errors import BadData
from anonbench.nets.bisenet import BiSeNet
from anonbench.nets.farl import Farl
from anonbench.nets.ir_se50 import IrSe50
from anonbench.nets.sphereface import SphereFace20a
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench_ciagan.networks import Generator as CiaganGenerator
from anonbench_fit.networks import Generator as FitGenerator
from anonbench_riddle.networks import LatentEncryptor

ENTRIES = [
    *("ciagan", "fit", "fit-one-fourth", "riddle", "e4e-ffhq-256", "stylegan2-ffhq-256"),
    *("farl", "e4e-ffhq1024", "stylegan2-ffhq1024", "ir-se50", "sphereface-20a", "bisenet"),
]


def flat(build: Callable[[], nn.Module], **others: tuple[int, ...]) -> dict[str, Tensor]:
    """A state dict of one number per tensor in memory and on disk, some of other shapes.

    Args:
        build: Makes the network.
        others: Shapes by key, with `_` for `.`.
    """
    state = on_meta(build).state_dict()
    shapes = {key: others.pop(key.replace(".", "_"), value.shape) for key, value in state.items()}
    assert not others
    return {key: torch.tensor(0.5).expand(shape) for key, shape in shapes.items()}


def vit_b_32() -> dict[str, Tensor]:
    return flat(Farl, conv1_weight=(768, 3, 32, 32), positional_embedding=(50, 768))


def expected(name: str) -> str:
    """What an error says that the file should have been."""
    artefact = weights.catalogue()[name]
    return f"'{name}' is {artefact.what}. {artefact.how_to_get}"


@pytest.fixture
def refused(anonbench_home: Path) -> Callable[[str, Path], str]:
    """The whole message that a file is refused with."""

    def message(name: str, file: Path) -> str:
        with pytest.raises(BadData) as caught:
            weights.import_file(name, file)
        assert not weights.is_present(name)
        return str(caught.value)

    return message


@pytest.mark.parametrize("name", ENTRIES)
def test_files_that_are_none_are_refused_and_the_right_one_named(
    name: str, refused: Callable[[str, Path], str], tmp_path: Path
) -> None:
    foreign = tmp_path / "resnet.pt"
    torch.save({"conv1.weight": torch.ones(64, 3, 7, 7)}, foreign)
    page, cut, cut_too, empty = (tmp_path / part for part in ("page", "cut", "cut_too", "empty"))
    page.write_text("<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")
    cut.write_bytes(foreign.read_bytes()[:-1000])
    save_file({"conv1.weight": torch.ones(64, 3, 7, 7)}, tmp_path / "x.safetensors")
    cut_too.write_bytes((tmp_path / "x.safetensors").read_bytes()[:-1000])
    empty.touch()
    said = {file: refused(name, file) for file in (foreign, page, cut, cut_too, empty)}
    assert all(message.endswith(expected(name)) for message in said.values())
    assert all(message.startswith(str(file)) for file, message in said.items())
    assert "conv1" in said[foreign]
    assert "It is a web page" in said[page]
    assert "It is cut off or damaged" in said[cut] and "It is cut off or damaged" in said[cut_too]
    assert "It is empty" in said[empty]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "ciagan",
            lambda: flat(CiaganGenerator, encode_one_hot_0_weight=(256, 100)),
            r"encode_one_hot\.0\.weight \[256, 100\] instead of \[256, 1200\]",
        ),
        (
            "fit",
            lambda: {"state_dict_G": flat(lambda: FitGenerator(width=32))},
            r"model\.1\.weight \[32, 19, 7, 7\] instead of \[64, 19, 7, 7\]",
        ),
        (
            "riddle",
            lambda: {"mapper_state_dict": flat(LatentEncryptor, pos_embedding=(18, 1, 512))},
            r"pos_embedding \[18, 1, 512\] instead of \[14, 1, 512\]",
        ),
        (
            "stylegan2-ffhq-256",
            lambda: {"g_ema": flat(lambda: Generator(Sizes(1024)))},
            r"a StyleGAN2 for 1024 pixels, not for 256\. It takes 18 style codes, not 14\.",
        ),
        (
            "stylegan2-ffhq1024",
            lambda: {"g_ema": flat(lambda: Generator(Sizes()))},
            r"a StyleGAN2 for 256 pixels, not for 1024\. It takes 14 style codes, not 18\.",
        ),
        (
            "stylegan2-ffhq1024",
            lambda: {
                "generator_smooth": {f"synthesis.output{n}.bias": torch.ones(3) for n in range(8)}
            },
            r"a StyleGAN2 for 512 pixels, not for 1024\. It takes 16 style codes, not 18\.",
        ),
        (
            "farl",
            lambda: {"state_dict": {f"visual.{k}": v for k, v in vit_b_32().items()}},
            r"conv1\.weight \[768, 3, 32, 32\] instead of \[768, 3, 16, 16\]",
        ),
        (
            "ir-se50",
            lambda: flat(IrSe50, output_layer_3_weight=(512, 512 * 14 * 14)),
            r"output_layer\.3\.weight \[512, 100352\] instead of \[512, 25088\]",
        ),
        (
            "sphereface-20a",
            lambda: flat(SphereFace20a, fc6_weight=(512, 85742)),
            r"fc6\.weight \[512, 85742\] instead of \[512, 10574\]",
        ),
        (
            "bisenet",
            lambda: flat(BiSeNet, conv_out_conv_out_weight=(11, 256, 1, 1)),
            r"conv_out\.conv_out\.weight \[11, 256, 1, 1\] instead of \[19, 256, 1, 1\]",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value in ENTRIES else "",
)
def test_a_file_of_the_right_kind_but_another_size_is_told_from_the_right_one(
    name: str,
    content: Callable[[], object],
    told: str,
    refused: Callable[[str, Path], str],
    tmp_path: Path,
) -> None:
    torch.save(content(), tmp_path / "other.pt")
    message = refused(name, tmp_path / "other.pt")
    assert re.search(told, message), message
    assert message.endswith(expected(name))
