"""FID's Inception-v3 behind the parity runner."""

from torch import Tensor

from anonbench.nets.inception_fid import UNUSED, InceptionFid
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit


def run(states: States, inputs: Inputs) -> Outputs:
    """Features of images of 256 and 299 px, and the spatial means of the maps before them."""
    net = InceptionFid().eval()
    load_state(net, states["inception"], source="The layout of inception_fid", unused=UNUSED)
    outputs: dict[str, Tensor] = {}
    if "images" in inputs:
        taps = net.taps(unit(inputs["images"]))
        outputs["pool3"] = taps.pool3
        for name in ("block0", "block1", "block2"):
            outputs[f"{name}_mean"] = getattr(taps, name).mean(dim=(2, 3))
    if "image299" in inputs:
        outputs["pool3_299"] = net(unit(inputs["image299"]))
    return outputs
