"""The authors' weights of FIT: imported from their checkpoints, loaded into the generator."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from anonbench import weights
from anonbench.nets.state import load_state
from anonbench.weights.convert import read_torch_checkpoint, save
from anonbench.weights.importers import entry
from anonbench_fit.networks import Generator, Scheme

_ARTEFACTS: dict[Scheme, str] = {"half": "fit", "one_fourth": "fit-one-fourth"}
_PARALLEL = "module."


def load_generator(scheme: Scheme) -> Generator:
    """The generator that was trained with an amplitude of the password, ready for inference.

    Raises:
        MissingArtefact: Its weights are not on this machine; there is no substitute.
        BadData: The file does not fit.
    """
    name = _ARTEFACTS[scheme]
    weights.require_by_hand([name])
    path = weights.path(name)
    generator = Generator()
    load_state(generator, load_file(path), source=str(path))
    return generator.eval().requires_grad_(False)


def import_official(source: Path, target: Path) -> None:
    """Importer of the authors' `checkpoint_XXXX.pth.tar`: its entry `state_dict_G`.

    The file does not say with which amplitude of the password it was trained; its folder does.

    Raises:
        BadData: There is no such entry, or keys or shapes differ; the message lists them.
    """
    state = _single(entry(read_torch_checkpoint(source), "state_dict_G", source))
    generator = Generator()
    load_state(generator, state, source=str(source))
    save(generator.state_dict(), target)


def _single(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A state dict without the prefix of `DataParallel`, if every key has it."""
    if not all(key.startswith(_PARALLEL) for key in state):
        return state
    return {key.removeprefix(_PARALLEL): value for key, value in state.items()}
