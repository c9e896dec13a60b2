"""The weights of CIAGAN that its authors trained."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from anonbench import weights
from anonbench.nets.state import load_state
from anonbench.weights.convert import read_torch_checkpoint, save
from anonbench_ciagan.drawing import SIDE
from anonbench_ciagan.networks import IDENTITIES, Generator


@torch.no_grad()
def load_generator(device: str) -> Generator:
    """The trained generator, ready for inference.

    A checkpoint's estimates of the spectral norms lag one step behind its weights. The authors'
    test script refines them in every pass, which makes an image depend on how many went before;
    here one pass does, and all images come out as the first one does there.

    Raises:
        MissingArtefact: The weights are not on this machine; there is no substitute.
    """
    weights.require_by_hand(["ciagan"])
    path = weights.path("ciagan")
    generator = Generator()
    load_state(generator, load_file(path), source=str(path))
    blank = torch.zeros(1, 3, SIDE, SIDE)
    generator.train()(blank, blank, torch.zeros(1, IDENTITIES))
    return generator.eval().requires_grad_(False).to(device)


def import_official(source: Path, target: Path) -> None:
    """Importer of the authors' `modelG.pth`: its state dict, checked, as safetensors.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    generator = Generator()
    load_state(generator, read_torch_checkpoint(source), source=str(source))
    save(generator.state_dict(), target)
