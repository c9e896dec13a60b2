"""The weights of RiDDLE: the authors' encryptor, e4e and StyleGAN2, or an encryptor of the user's.

All three networks work on the codes of one StyleGAN2, that of `stylegan2-ffhq-256.pt`.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from anonbench import weights
from anonbench.errors import BadData
from anonbench.nets.e4e import Inverter
from anonbench.nets.ir_se50 import LEVELS, Levels
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.weights.convert import read_torch_checkpoint, save
from anonbench.weights.importers import entry
from anonbench_riddle.networks import LATENTS, LatentEncryptor

ENCRYPTOR, INVERTER, GENERATOR = "riddle", "e4e-ffhq-256", "stylegan2-ffhq-256"
"""Their names in the catalogue."""
SIZES = Sizes()
"""Of the authors' generator."""


class Networks(NamedTuple):
    """All that anonymizing and recovering run, ready for inference.

    Attributes:
        encryptor: Codes `[B, 14, 512]` under a password `[B, 512]`.
        inverter: Crops `[B, 3, 256, 256]` in `[0, 1]` to codes.
        generator: Codes to images, and numbers `[B, 512]` from N(0, 1) to passwords.
    """

    encryptor: LatentEncryptor
    inverter: Inverter
    generator: Generator


def load_networks(own: str, device: str, sizes: Sizes = SIZES, levels: Levels = LEVELS) -> Networks:
    """The trained networks.

    Args:
        own: Path of an encryptor that `anonbench train riddle` wrote, in the place of the authors';
            or empty.
        device: Where PyTorch runs them.
        sizes: Of the generator.
        levels: Of the inverter's trunk.

    Raises:
        MissingArtefact: Files are not on this machine; there is no substitute.
        BadData: A file does not fit, or the inverter is of another StyleGAN2.
    """
    weights.require_by_hand([*([] if own else [ENCRYPTOR]), GENERATOR, INVERTER])
    inverter, generator = load_prior(sizes, levels)
    encryptor = _load_encryptor(Path(own) if own else weights.path(ENCRYPTOR))
    return Networks(encryptor.to(device), inverter.to(device), generator.to(device))


def load_prior(sizes: Sizes = SIZES, levels: Levels = LEVELS) -> tuple[Inverter, Generator]:
    """What the encryptor works between, as others trained it: from crops to codes to images.

    Args:
        sizes: Of the generator.
        levels: Of the inverter's trunk.

    Raises:
        MissingArtefact: Files are not on this machine.
        BadData: A file does not fit, or the inverter is of another StyleGAN2.
    """
    inverter = Inverter.load(weights.path(INVERTER), LATENTS, levels)
    generator = _load_generator(weights.path(GENERATOR), sizes)
    inverter.require_generator(generator)
    return inverter, generator


def import_encryptor(source: Path, target: Path) -> None:
    """Importer of the authors' `iteration_90000.pt`: its entry `mapper_state_dict`.

    Raises:
        BadData: There is no such entry, or keys or shapes differ; the message lists them.
    """
    state = entry(read_torch_checkpoint(source), "mapper_state_dict", source)
    encryptor = LatentEncryptor()
    load_state(encryptor, state, source=str(source))
    save(encryptor.state_dict(), target)


def _load_encryptor(path: Path) -> LatentEncryptor:
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadData(
            f"{path} cannot be read as an encryptor of RiDDLE.",
            why=str(error).splitlines()[0],
            mend="Name the model.safetensors that `anonbench train riddle` wrote.",
        ) from error
    encryptor = LatentEncryptor()
    load_state(encryptor, state, source=str(path))
    return encryptor.eval().requires_grad_(False)


def _load_generator(path: Path, sizes: Sizes) -> Generator:
    with torch.device("meta"):
        generator = Generator(sizes)
    load_state(generator, load_file(path), source=str(path), assign=True)
    return generator.eval().requires_grad_(False)
