"""Trained weights of FIT: the authors' own, and those that a user trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from anonbench import weights
from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.errors import BadConfig
from anonbench.nets.state import load_state
from anonbench.weights.convert import read_torch_checkpoint, save
from anonbench.weights.importers import entry
from anonbench_fit.bundle import Bundle, read
from anonbench_fit.networks import Generator, Scheme
from anonbench_fit.reference import Stages, fixed_by, reference_faces

SMALL = "small"
"""The checkpoint without weights of its own: for what small.toml trains."""
_ARTEFACTS: dict[Scheme, str] = {"half": "fit", "one_fourth": "fit-one-fourth"}
_PARALLEL = "module."


@dataclass(frozen=True)
class Model:
    """All that anonymizing and recovering take.

    Attributes:
        scheme: Amplitude of the passwords.
        stages: The generator as both stages use it, ready for inference.
    """

    scheme: Scheme
    stages: Stages


def load_model(card: MethodCard, device: str, *, by_batch: bool) -> Model:
    """The weights that a card's config names.

    Args:
        card: Of the method.
        device: Where PyTorch runs them.
        by_batch: Normalise by the batch at hand, as the authors do, in place of a fixed one.

    Raises:
        MissingArtefact: Weights, or LFW for the authors' reference batch, are not on this machine.
        BadConfig: The weights are for another checkpoint, or there are none for this one.
        BadData: A file does not fit.
    """
    bundle, scheme = _bundle(card), _scheme(card)
    generator = (bundle.generator if bundle else load_generator(scheme)).to(device)
    if by_batch:
        return Model(scheme, Stages(generator, generator))
    if bundle:
        return Model(scheme, Stages(*(stage.to(device) for stage in bundle.stages)))
    faces = reference_faces(template(card.template).size)
    return Model(scheme, fixed_by(generator, scheme, faces.to(device)))


def unweighted_generator(card: MethodCard) -> tuple[Generator, Scheme]:
    """A generator as a card's config names it, whatever its weights, and its passwords' scheme.

    Raises:
        BadConfig: The checkpoint has no weights of its own, and no bundle is named.
        BadData: The file that `bundle` names is none.
    """
    bundle = _bundle(card)
    return bundle.generator if bundle else Generator(), _scheme(card)


def load_generator(scheme: Scheme) -> Generator:
    """The authors' generator for an amplitude of the password, ready for inference.

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


def _scheme(card: MethodCard) -> Scheme:
    """The amplitude that a checkpoint was trained with, which its name begins with."""
    return "one_fourth" if str(card.config["checkpoint"]).startswith("one_fourth") else "half"


def _bundle(card: MethodCard) -> Bundle | None:
    """The bundle that a card's config names; None for the authors' weights.

    Raises:
        BadConfig: It is for another checkpoint, or one must be named.
    """
    own, checkpoint = str(card.config["bundle"]), str(card.config["checkpoint"])
    if not own and checkpoint != SMALL:
        return None
    if not own:
        raise BadConfig(
            f"The checkpoint '{SMALL}' of {card.title} has no weights of its own.",
            mend=f"Train some: anonbench train fit --config small --data-root DIR --out RUN; then "
            f"write {card.name}:checkpoint={SMALL}:bundle=RUN/model.safetensors",
        )
    bundle = read(Path(own))
    found = bundle.about.scheme, bundle.about.side
    wanted = _scheme(card), template(card.template).size
    if found != wanted:
        raise BadConfig(
            f"The weights of {card.title} are for passwords of '{found[0]}' and {found[1]} "
            f"pixels, the checkpoint '{checkpoint}' for '{wanted[0]}' and {wanted[1]}.",
            mend="Choose the checkpoint that they were trained for.",
        )
    return bundle


def _single(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A state dict without the prefix of `DataParallel`, if every key has it."""
    if not all(key.startswith(_PARALLEL) for key in state):
        return state
    return {key.removeprefix(_PARALLEL): value for key, value in state.items()}
