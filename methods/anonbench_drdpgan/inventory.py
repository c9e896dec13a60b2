"""The networks of DR-DPGAN as a table of complexity lists them; nobody's weights are fetched."""

from pathlib import Path

import torch

from anonbench.generative import inventory as shared
from anonbench.values import Part
from anonbench_drdpgan.checkpoints import BUNDLES, DEMOS, demo_model
from anonbench_drdpgan.networks import Build, DrDpganNetworks


def inventory(checkpoint: str, own: str) -> list[Part]:
    """Every network that anonymizing and recovering run, each as it sees one image.

    The refinement of fake identities (Alg. 1) runs the generator forwards and backwards once more
    for every step, which is not counted.

    Args:
        checkpoint: One of the method's card.
        own: Path of a bundle, whose networks need not be built as the checkpoint's; or empty.

    Raises:
        BadData: The file is no bundle, or does not fit.
    """
    path = Path(own) if own else None
    if checkpoint not in DEMOS:
        networks = BUNDLES.read(path)[0] if path else DrDpganNetworks(_build(checkpoint))
        return shared.with_official_priors(networks, _own(networks))
    recogniser = shared.unweighted_dlib()
    model = demo_model(checkpoint, path, recogniser)
    return shared.with_demo_priors(model, recogniser, _own(model.networks))


def _build(checkpoint: str) -> Build:
    return Build(code="learned" if checkpoint.endswith("learned") else "ieee754")


def _own(networks: DrDpganNetworks) -> list[Part]:
    noise = torch.randn(1, networks.fake_identity.hidden.in_features)
    parts = [Part("fake identity", networks.fake_identity, (noise,))]
    if networks.build.code == "learned":
        code = networks.learned_code
        identity, bits = torch.randn(1, code.identity), torch.ones(1, code.count)
        parts.append(Part("binary code mapping", code.mapping, (identity,)))
        parts.append(Part("binary code decoder", code.decoder, (bits,)))
    return parts
