"""Trained weights of G²Face: the authors' own, the demo's, and those that a user trained."""

from pathlib import Path

from safetensors.torch import load_file

from anonbench import weights
from anonbench.errors import BadConfig
from anonbench.generative.bundle import BundleFormat, by_entry
from anonbench.generative.models import Model, with_demo_priors, with_official_priors
from anonbench.nets.dlib_resnet import DlibFaceResNet
from anonbench.nets.fusion import Architecture
from anonbench.weights.convert import read_torch_checkpoint, save
from anonbench_g2face.config import PRESETS
from anonbench_g2face.networks import G2FaceNetworks

DEMO = "anonbench_g2face/demo.safetensors"
BUNDLES = BundleFormat(
    "g2face", "G²Face", Architecture, G2FaceNetworks, lambda networks: networks.architecture
)
# In which options of a `Variant` networks differ; the others are about training.
_BUILT_AS = ("mask_selects", "mask_norm", "extractor")


def load_model(checkpoint: str, own: str, device: str) -> Model[G2FaceNetworks]:
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
    return model.on(device)


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


def demo_model(own: Path | None, recogniser: DlibFaceResNet | None = None) -> Model[G2FaceNetworks]:
    """The demo's networks and priors.

    Args:
        own: A bundle whose weights take the place of the packaged ones.
        recogniser: In place of dlib's, which is read where there is none.

    Raises:
        MissingArtefact: dlib's weights have not been fetched.
        BadData: The bundle does not fit.
    """
    path = own or weights.packaged(DEMO)
    networks, states = BUNDLES.read(path)
    return with_demo_priors(networks, states, str(path), recogniser)


def _official(own: Path | None) -> Model[G2FaceNetworks]:
    weights.require_by_hand(["arcface-r50-ms1mv3", "d3dfr", *([] if own else ["g2face"])])
    if own:
        return with_official_priors(BUNDLES.read(own)[0])
    path = weights.path("g2face")
    networks = G2FaceNetworks()
    networks.load(by_entry(load_file(path)), source=str(path))
    return with_official_priors(networks)


def import_official(source: Path, target: Path) -> None:
    """Importer of the authors' `G2Face.pth`: its four networks, checked, as safetensors.

    Raises:
        BadData: A network is missing, or keys or shapes differ; the message lists them.
    """
    networks = G2FaceNetworks()
    networks.load(by_entry(read_torch_checkpoint(source)), source=str(source))
    save(networks.state_dict(), target)
