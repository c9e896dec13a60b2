"""Importers of e4e's encoders: RiDDLE's for 256 pixels and the public one for 1024 pixels.

Both are files of the pSp framework: entries `state_dict` (keys `encoder.*` and `decoder.*`, the
StyleGAN2 that was inverted), `latent_avg` and `opts`. What is kept is the state dict of
`anonbench.nets.e4e.Inverter`, and of the StyleGAN2 its constant input, by which it is known again.
`Inverter.load` reads both.
"""

from pathlib import Path

from anonbench.nets.e4e import CONSTANT, Inverter
from anonbench.nets.ir_se50 import LEVELS, Levels
from anonbench.nets.stylegan2 import Sizes
from anonbench.weights.convert import read_torch_checkpoint, save
from anonbench.weights.importers import entry


def ffhq_256(source: Path, target: Path) -> None:
    """`e4e_ffhq_encode_256.pt`: 14 codes, for StyleGAN2 of 256 pixels.

    Raises:
        BadData: It is another file; a number of codes, keys and shapes that differ are listed.
    """
    convert(source, target, Sizes(256).latents)


def ffhq_1024(source: Path, target: Path) -> None:
    """`e4e_ffhq_encode.pt`: 18 codes, for StyleGAN2 of 1024 pixels.

    Raises:
        BadData: It is another file; a number of codes, keys and shapes that differ are listed.
    """
    convert(source, target, Sizes(1024).latents)


def convert(source: Path, target: Path, latents: int, levels: Levels = LEVELS) -> None:
    """Check a file of the pSp framework against the network and keep it as safetensors.

    Args:
        source: The file.
        target: What is written.
        latents: Number of codes that it must have.
        levels: Of the encoder's trunk.

    Raises:
        BadData: It does not fit.
    """
    tensors = read_torch_checkpoint(source)
    state = entry(tensors, "state_dict", source)
    state |= {key: value for key, value in tensors.items() if key == "latent_avg"}
    net = Inverter.of_state(state, str(source), latents, levels)
    known = {} if net.constant is None else {CONSTANT: net.constant}
    save(net.state_dict() | known, target)
