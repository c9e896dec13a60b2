"""Importers of e4e's encoders: RiDDLE's for 256 pixels and the public one for 1024 pixels.

Both are files of the pSp framework: entries `state_dict` (keys `encoder.*` and `decoder.*`, the
StyleGAN2 that was inverted), `latent_avg` and `opts`. What is kept is the state dict of
`anonbench.nets.e4e.Inverter`, and of the StyleGAN2 its constant input, by which it is known again.
`Inverter.load` reads both.

pSp's own encoders have the very same keys and shapes, but another meaning of the codes; `opts`
alone tells which encoder a file holds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from anonbench.errors import BadData
from anonbench.nets.e4e import CONSTANT, Inverter
from anonbench.nets.ir_se50 import LEVELS, Levels
from anonbench.nets.stylegan2 import Sizes
from anonbench.weights.convert import flatten, load_torch, save
from anonbench.weights.importers import entry

_ENCODER = "Encoder4Editing"


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
    content = load_torch(source)
    tensors = flatten(content, Tensor, source)
    _require_e4e(content, source)
    state = entry(tensors, "state_dict", source)
    state |= {key: value for key, value in tensors.items() if key == "latent_avg"}
    net = Inverter.of_state(state, str(source), latents, levels)
    known = {} if net.constant is None else {CONSTANT: net.constant}
    save(net.state_dict() | known, target)


def _require_e4e(content: Any, source: Path) -> None:
    """Make sure that a file is not said to hold another encoder than e4e's."""
    opts = content.get("opts", {}) if isinstance(content, Mapping) else {}
    options = opts if isinstance(opts, Mapping) else getattr(opts, "__dict__", {})
    encoder = options.get("encoder_type", _ENCODER)
    if encoder != _ENCODER:
        raise BadData(
            f"{source} holds the encoder {encoder}, not e4e's {_ENCODER}.",
            why="Its keys are the same, but each of its codes stands for itself; e4e's are "
            "the first one and what the others add to it.",
        )
