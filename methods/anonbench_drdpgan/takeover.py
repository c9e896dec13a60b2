"""Starting from what another training made: a bundle of this method, or of G²Face.

The networks that both have are the same but for one thing: a mask of one lets through the features
of the original face here (Eq. 7), those of the decoder in the code of G²Face's authors. A sigmoid
of the negative logit turns one into the other.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from anonbench import weights
from anonbench.errors import BadConfig, BadData
from anonbench.generative.bundle import by_entry
from anonbench.generative.training_priors import Priors
from anonbench.nets.fusion import Architecture
from anonbench_drdpgan.networks import DrDpganNetworks

# Options that give weights of the same shape another meaning.
_MEANING = ("mapper_rate", "encoder_norm", "mask_norm")
_LOG = logging.getLogger(__name__)


def take_over(networks: DrDpganNetworks, priors: Priors, path: Path) -> set[str]:
    """Copy from a bundle every tensor whose name and shape the networks know, and fitted priors.

    Args:
        networks: Which take the weights.
        priors: Which take what was fitted to other crops, all of it, and need no fitting then.
        path: Of the bundle.

    Returns:
        The networks, by name, of which nothing is left to be taken.

    Raises:
        BadData: It is no bundle, or lacks a prior that is fitted here, or that does not fit.
        BadConfig: Its networks compute something else from weights of the same shape.
    """
    architecture, entries = _read(path)
    _require_meaning(architecture, networks.architecture, path)
    given = entries.pop("networks")
    if architecture["mask_selects"] != networks.architecture.mask_selects:
        given = {key: -value if _of_masks(key) else value for key, value in given.items()}
    own = networks.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and v.shape == own[k].shape}
    networks.load_state_dict(fitting, strict=False)
    priors.adopt(entries, source=str(path))
    left = sorted(own.keys() - fitting.keys())
    _LOG.info("%d tensors from %s; not in it: %s", len(fitting), path, ", ".join(left) or "none")
    return {name for name, _ in networks.named_children()} - {key.split(".")[0] for key in left}


def find_bundle(name: str) -> Path:
    """The bundle that a configuration names: a path, or `PACKAGE/FILE` of an installed package.

    Raises:
        MissingArtefact: It is neither.
    """
    path = Path(name).expanduser()
    return path if path.is_absolute() or path.is_file() else weights.packaged(name)


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, dict[str, Tensor]]]:
    """How a bundle's networks are built, and its tensors by entry."""
    try:
        tensors = load_file(path)
        described = json.loads(tensors.pop("architecture").numpy().tobytes())
        entries = by_entry(tensors)
        return described.get("architecture", described), {"networks": {}, **entries}
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError) as error:
        raise BadData(
            f"{path} is no bundle of DR-DPGAN or G²Face weights.",
            why=str(error).splitlines()[0],
            mend="Name in `start_from` the model.safetensors that `anonbench train` wrote.",
        ) from error


def _require_meaning(theirs: Mapping[str, Any], ours: Architecture, path: Path) -> None:
    differing = [
        f"{name} is {theirs.get(name)} there and {getattr(ours, name)} here"
        for name in _MEANING
        if theirs.get(name) != getattr(ours, name)
    ]
    if differing:
        raise BadConfig(
            f"DR-DPGAN cannot start from {path}: {'; '.join(differing)}.",
            why="The same weights would compute something else.",
        )


def _of_masks(key: str) -> bool:
    return key.startswith("anonymous_net.fusion_mask.")
