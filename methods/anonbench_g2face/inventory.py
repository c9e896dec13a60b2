"""The networks of G²Face as a table of complexity lists them; nobody's weights are fetched.

Table VII of the article counts the decoder with its face encoder, masks and injectors. The other
networks run, too.
"""

from pathlib import Path

import torch

from anonbench.generative import inventory as shared
from anonbench.values import Part
from anonbench_g2face.checkpoints import BUNDLES, demo_model
from anonbench_g2face.networks import G2FaceNetworks


def inventory(checkpoint: str, own: str) -> list[Part]:
    """Every network that anonymizing and recovering run, each as it sees one image.

    Args:
        checkpoint: `official` or `demo`.
        own: Path of a bundle, whose networks need not be built as the checkpoint's; or empty.

    Raises:
        BadData: The file is no bundle, or does not fit.
    """
    path = Path(own) if own else None
    if checkpoint == "official":
        networks = BUNDLES.read(path)[0] if path else G2FaceNetworks()
        return shared.with_official_priors(networks, _dummy(networks))
    recogniser = shared.unweighted_dlib()
    model = demo_model(path, recogniser)
    return shared.with_demo_priors(model, recogniser, _dummy(model.networks))


def _dummy(networks: G2FaceNetworks) -> list[Part]:
    noise = torch.randn(1, networks.architecture.identity)
    return [Part("dummy identity", networks.map_2_id, (noise,))]
