"""Trained weights of G²Face: the authors' own, the demo's, and those that a user trained.

A *bundle* is the one safetensors file that holds what training made: the four networks and, where
priors were fitted in training, what was fitted of them (`networks.`, `identity.`, `geometry.`). Its
`architecture` says in JSON how its networks are built, so nobody has to know that to load it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from anonbench import weights
from anonbench.errors import BadConfig, BadData
from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.dlib_resnet import DlibFaceResNet
from anonbench.nets.fusion import Architecture
from anonbench.nets.iresnet import IResNet
from anonbench.nets.state import load_state
from anonbench.weights.convert import read_torch_checkpoint, save
from anonbench_g2face.appearance import AppearancePrior, Renderer
from anonbench_g2face.config import PRESETS
from anonbench_g2face.demo import DemoIdentity, LandmarkPrior
from anonbench_g2face.networks import G2FaceNetworks
from anonbench_g2face.priors import (
    ArcFaceIdentity,
    D3dfrGeometry,
    GeometricPrior,
    Identifier,
    NoGeometry,
)

DEMO = "anonbench_g2face/demo.safetensors"
_ARCHITECTURE = TypeAdapter(Architecture)
_BUILD = "architecture"
# In which options of a `Variant` networks differ; the others are about training.
_BUILT_AS = ("mask_selects", "mask_norm", "extractor")
# Smaller tensors are stored in float32: in half precision they would save nothing.
_HALF_FROM = 4096

States = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class Model:
    """All that anonymizing and recovering take, for inference.

    Attributes:
        networks: G²Face's own.
        identity: Who is in an image.
        geometry: How the face is shaped.
        render: Draws the faces of identities `[B, n]` into images, for a decoder that has not
            learned faces before; the demo's.
    """

    networks: G2FaceNetworks
    identity: Identifier
    geometry: GeometricPrior
    render: Callable[[Tensor, Tensor], Tensor] | None = None


def load_model(checkpoint: str, own: str, device: str) -> Model:
    """The networks and priors of a checkpoint.

    Args:
        checkpoint: `official` or `demo`: which priors, and which weights by default.
        own: Path of a bundle whose weights take the place of the checkpoint's; or empty.
        device: Where PyTorch runs them.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
        BadData: A file does not fit the networks.
    """
    path = Path(own) if own else None
    model = _official(path) if checkpoint == "official" else demo_model(path)
    for module in vars(model).values():
        if isinstance(module, nn.Module):
            module.eval().requires_grad_(False).to(device)
    return model


def require_preset(architecture: Architecture, preset: str) -> None:
    """Make sure that networks are built as a preset says.

    Raises:
        BadConfig: There is no such preset, or they are not.
    """
    if preset not in PRESETS:
        raise BadConfig(
            f"There is no preset '{preset}' of G²Face.",
            why=f"The presets are: checkpoint, {', '.join(PRESETS)}.",
        )
    found = {name: getattr(architecture, name) for name in _BUILT_AS}
    wanted = {name: getattr(PRESETS[preset], name) for name in _BUILT_AS}
    differing = [
        f"{name} = {found[name]}, not {wanted[name]}"
        for name in _BUILT_AS
        if found[name] != wanted[name]
    ]
    if differing:
        raise BadConfig(
            f"These weights of G²Face were not trained as preset '{preset}' builds the networks: "
            f"{'; '.join(differing)}.",
            why="Run in networks of another build they would give meaningless images.",
            mend="Leave the preset out, or name a bundle that was trained with it.",
        )


# ------------------------------------------------------------------------------------- bundles
def bundle(
    networks: G2FaceNetworks, fitted: Mapping[str, nn.Module] | None = None, *, half: bool = False
) -> dict[str, Tensor]:
    """The tensors of a bundle, by their names in the file.

    Args:
        networks: The trained networks.
        fitted: Priors that were fitted in training, as `identity` and `geometry`.
        half: Store large tensors in half precision.

    Raises:
        BadData: A weight is not finite, or becomes so in half precision.
    """
    parts: dict[str, nn.Module] = {"networks": networks, **(fitted or {})}
    tensors = {
        f"{name}.{key}": _stored(value, half)
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }
    bad = [key for key, value in tensors.items() if not bool(value.isfinite().all())]
    if bad:
        raise BadData(f"Weights of G²Face are not finite: {', '.join(bad[:8])}.")
    build = bytearray(_ARCHITECTURE.dump_json(networks.architecture))
    return {**tensors, _BUILD: torch.frombuffer(build, dtype=torch.uint8)}


def _stored(value: Tensor, half: bool) -> Tensor:
    smaller = half and value.is_floating_point() and value.numel() >= _HALF_FROM
    return (value.half() if smaller else value).detach().cpu().contiguous().clone()


def read_bundle(path: Path) -> tuple[G2FaceNetworks, States]:
    """The networks of a bundle, loaded, and the state dicts of its fitted priors by name.

    Raises:
        BadData: It is no bundle, or does not fit the networks that it says it is for.
    """
    try:
        tensors = load_file(path)
        described = tensors.pop(_BUILD, torch.empty(0)).numpy().tobytes()
        architecture = _ARCHITECTURE.validate_json(described)
    except (OSError, SafetensorError, ValidationError) as error:
        raise BadData(
            f"{path} is no bundle of G²Face weights.",
            why=str(error).splitlines()[0],
            mend="Name the model.safetensors that `anonbench train g2face` wrote.",
        ) from error
    states = _by_entry(tensors)
    networks = G2FaceNetworks(architecture)
    load_state(networks, states.pop("networks", {}), source=str(path))
    return networks, states


def _by_entry(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by the first part of their keys, then by the rest."""
    entries: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, rest = key.partition(".")
        entries.setdefault(name, {})[rest] = value
    return entries


# ----------------------------------------------------------------------------- the checkpoints
def demo_model(own: Path | None, recogniser: DlibFaceResNet | None = None) -> Model:
    """The demo's networks and priors.

    Args:
        own: A bundle whose weights take the place of the packaged ones.
        recogniser: In place of dlib's, which is read where there is none.

    Raises:
        MissingArtefact: dlib's weights have not been fetched.
        BadData: The bundle does not fit.
    """
    path = own or weights.packaged(DEMO)
    networks, states = read_bundle(path)
    missing = [name for name in ("identity", "geometry", "appearance") if name not in states]
    if missing:
        raise BadData(
            f"{path} holds no fitted {' and no fitted '.join(missing)}.",
            mend='Name a bundle that was trained with `priors = "demo"`.',
        )
    identity, appearance = DemoIdentity(recogniser), AppearancePrior()
    basis = states["geometry"].get("basis", torch.empty(0))
    first = states["geometry"].get("layers.0.0.weight", torch.empty(8))
    geometry = LandmarkPrior(size=len(basis), width=len(first))
    for name, part in (("identity", identity), ("geometry", geometry), ("appearance", appearance)):
        load_state(part, states[name], source=f"Part '{name}' of {path}")
    steered = _steered(networks, len(geometry.basis))
    return Model(
        networks, identity, geometry if steered else NoGeometry(), Renderer(appearance, geometry)
    )


def _official(own: Path | None) -> Model:
    weights.require_by_hand(["arcface-r50-ms1mv3", "d3dfr", *([] if own else ["g2face"])])
    if own:
        networks, _ = read_bundle(own)
    else:
        path = weights.path("g2face")
        networks = G2FaceNetworks()
        networks.load(_by_entry(load_file(path)), source=str(path))
    recogniser, regressor = IResNet(50), D3dfr()
    for net, name in ((recogniser, "arcface-r50-ms1mv3"), (regressor, "d3dfr")):
        load_state(net, load_file(weights.path(name)), source=str(weights.path(name)))
    steered = _steered(networks, Architecture().geometry)
    geometry = D3dfrGeometry(regressor) if steered else NoGeometry()
    return Model(networks, ArcFaceIdentity(recogniser), geometry)


def _steered(networks: G2FaceNetworks, size: int) -> bool:
    """Whether coefficients steer the decoder: as many as the prior gives, or none."""
    expected = networks.architecture.geometry
    if expected not in (0, size):
        raise BadData(
            f"The weights of G²Face want {expected} coefficients, the prior gives {size}.",
            mend="Choose the checkpoint whose priors they were trained with.",
        )
    return expected > 0


def import_official(source: Path, target: Path) -> None:
    """Importer of the authors' `G2Face.pth`: its four networks, checked, as safetensors.

    Raises:
        BadData: A network is missing, or keys or shapes differ; the message lists them.
    """
    networks = G2FaceNetworks()
    networks.load(_by_entry(read_torch_checkpoint(source)), source=str(source))
    save(networks.state_dict(), target)
