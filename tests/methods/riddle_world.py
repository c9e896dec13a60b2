"""RiDDLE's three files as their authors lay them out, filled by rule: e4e and StyleGAN2 narrow.

The encryptor has its full size. The others keep their layouts and what they promise each other, 14
codes of 512 numbers for 256 pixels, with 16 channels at most: full ones take minutes to check.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from network_facts import on_meta
from torch import Tensor, nn

from anonbench import weights
from anonbench.nets.e4e import Inverter
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.testing.fill import TensorSpec, fill
from anonbench.testing.fixtures import Layout, NetworkLayout, read_layout
from anonbench.testing.parity import FilledStates
from anonbench.weights import cache, e4e
from anonbench.weights.artefacts import lookup
from anonbench.weights.convert import save
from anonbench_riddle.checkpoints import ENCRYPTOR, GENERATOR, INVERTER, load_networks

SIZES = Sizes(channel_base=512, channel_max=16)
LEVELS = ((16, 1),) * 4
load_narrow = partial(load_networks, sizes=SIZES, levels=LEVELS)

State = dict[str, Tensor]


def filled(net: nn.Module, layout: NetworkLayout) -> State:
    """A network's state dict under the rules and constants of its official layout."""
    specs = [
        TensorSpec(key, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in net.state_dict().items()
    ]
    arrays = fill(specs, 0, layout.rules, layout.constants)
    return {key: torch.from_numpy(array) for key, array in arrays.items()}


class Files:
    """The authors' files.

    Attributes:
        encryptor, inverter, generator: Their paths.
        states: The state dicts in them; the inverter's keys have no prefix.
        latent_avg: The mean code `[14, 512]` of the fixtures.
    """

    def __init__(self, folder: Path, shared: Path) -> None:
        riddle: Layout = read_layout(shared / "parity", "riddle")
        stylegan = read_layout(shared / "parity", "stylegan2_ffhq256").networks["g_ema"]
        with np.load(shared / "parity" / "riddle.npz") as stored:
            self.latent_avg = torch.from_numpy(stored["in.latent_avg"])
        self.states = {
            ENCRYPTOR: FilledStates(riddle)["mapper"],
            INVERTER: filled(
                on_meta(lambda: Inverter(levels=LEVELS)).encoder, riddle.networks["e4e_encoder"]
            ),
            GENERATOR: filled(on_meta(lambda: Generator(SIZES)), stylegan),
        }
        self.encryptor = folder / "iteration_90000.pt"
        torch.save({"mapper_state_dict": self.states[ENCRYPTOR], "opts": {}}, self.encryptor)
        self.generator = folder / "stylegan2-ffhq-256.pt"
        torch.save({"g_ema": self.states[GENERATOR]}, self.generator)
        self.inverter = folder / "e4e_ffhq_encode_256.pt"
        state = {f"encoder.{key}": value for key, value in self.states[INVERTER].items()}
        state |= {f"decoder.{key}": value for key, value in self.states[GENERATOR].items()}
        content = {"state_dict": state, "latent_avg": self.latent_avg, "opts": {}}
        torch.save(content, self.inverter)

    def import_all(self) -> None:
        """Bring all three into the cache; the narrow ones as if their importers knew their size."""
        weights.import_file(ENCRYPTOR, self.encryptor)
        e4e.convert(self.inverter, _place(INVERTER), 14, LEVELS)
        save(self.states[GENERATOR], _place(GENERATOR))
        for name in (INVERTER, GENERATOR):
            cache.adopt(lookup(name), _place(name).parent)


def _place(name: str) -> Path:
    folder = cache.root() / ".incoming" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder / lookup(name).file


@pytest.fixture(scope="module")
def files(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The authors' files in a folder of downloads."""
    return Files(tmp_path_factory.mktemp("downloads"), shared)
