"""Trained weights of DR-DPGAN: the demo's, and those that a user trained; nobody published any."""

from pathlib import Path

from anonbench import weights
from anonbench.errors import BadData
from anonbench.generative.bundle import BundleFormat
from anonbench.generative.models import Model, with_demo_priors, with_official_priors
from anonbench.generative.priors import Morphology
from anonbench.nets.dlib_resnet import DlibFaceResNet
from anonbench.weights.convert import save
from anonbench_drdpgan.networks import Build, CodeName, DrDpganNetworks

BUNDLES = BundleFormat(
    "drdpgan", "DR-DPGAN", Build, DrDpganNetworks, lambda networks: networks.build
)
# Demos by checkpoint: the file with their weights. The other checkpoints take official priors.
DEMOS = {
    "demo": "anonbench_drdpgan/demo.safetensors",
    "demo-learned": "anonbench_drdpgan/demo-learned.safetensors",
}
_POSE = 3
_IMAGE = 256  # pixels of the checkpoints with official priors


def load_model(checkpoint: str, own: str, device: str) -> Model[DrDpganNetworks]:
    """The networks and priors of a checkpoint.

    Args:
        checkpoint: One of the method's card: which priors, and which weights by default.
        own: Path of a bundle whose weights take the place of the checkpoint's; or empty.
        device: Where PyTorch runs them.

    Raises:
        MissingArtefact: Weights are not on this machine; there is no substitute.
        BadData: A file does not fit the networks.
    """
    path = Path(own) if own else None
    if checkpoint in DEMOS:
        return demo_model(checkpoint, path).on(device)
    weights.require_by_hand(["arcface-r50-ms1mv3", "d3dfr", *([] if own else [_named(checkpoint)])])
    networks, _ = BUNDLES.read(path or weights.path(_named(checkpoint)))
    return with_official_priors(networks, _morphology(networks)).on(device)


def demo_model(
    checkpoint: str, own: Path | None, recogniser: DlibFaceResNet | None = None
) -> Model[DrDpganNetworks]:
    """A demo's networks and priors.

    Args:
        checkpoint: Which demo.
        own: A bundle whose weights take the place of the packaged ones.
        recogniser: In place of dlib's, which is read where there is none.

    Raises:
        MissingArtefact: dlib's weights have not been fetched.
        BadData: The bundle does not fit.
    """
    path = own or weights.packaged(DEMOS[checkpoint])
    networks, states = BUNDLES.read(path)
    return with_demo_priors(networks, states, str(path), recogniser)


def _named(checkpoint: str) -> str:
    """The catalogue's name of a checkpoint that users train."""
    return f"drdpgan-{checkpoint}"


def _morphology(networks: DrDpganNetworks) -> Morphology:
    """Which coefficients the networks were trained with: 144 + 3, or 64 + 3."""
    return "expression" if networks.architecture.geometry == 64 + _POSE else "shape+expression"


def import_trained(source: Path, target: Path) -> None:
    """Importer of a bundle for the checkpoint `trained`, checked.

    Raises:
        BadData: It is none, or its keys or shapes are not those of its networks.
    """
    _import(source, target, "ieee754")


def import_trained_learned(source: Path, target: Path) -> None:
    """Importer of a bundle for the checkpoint `trained-learned`, checked.

    Raises:
        BadData: It is none, or its keys or shapes are not those of its networks.
    """
    _import(source, target, "learned")


def _import(source: Path, target: Path, code: CodeName) -> None:
    networks, _ = BUNDLES.read(source)
    found = networks.architecture.sizes.image, networks.build.code
    if found != (_IMAGE, code):
        raise BadData(
            f"{source} is for {found[0]} pixels and the code '{found[1]}', not for {_IMAGE} and "
            f"'{code}'.",
            mend="Import it as drdpgan-trained or drdpgan-trained-learned, whichever fits; use "
            "one of another size by drdpgan:bundle=FILE.",
        )
    save(BUNDLES.pack(networks), target)
